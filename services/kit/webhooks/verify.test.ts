import { describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { newSecret, signatureHeaders } from './signature.ts'
import { type Received, seenInMemory, verifyWebhook } from './verify.ts'

const secret = newSecret()
const body = '{"type":"order.confirmed","data":{"orderId":"ä"}}'
const now = new Date('2026-01-31T12:00:00Z')
const headers = signatureHeaders('e1', now, body, [secret])

function verify(change: Partial<Received> = {}): Promise<string> {
  return verifyWebhook({ headers, body, secrets: [secret], seen: seenInMemory(), now, ...change })
}

test('what we sign any receiver of Standard Webhooks takes', () => {
  const today = signatureHeaders('e1', new Date(), body, [newSecret(), secret])
  expect(new Webhook(secret).verify(body, { ...today })).toEqual(JSON.parse(body))
})

describe('a webhook', () => {
  test('is taken once, as text or as the bytes it came in', async () => {
    expect(await verify({ body: Buffer.from(body) })).toBe('e1')
    const seen = seenInMemory()
    expect(await verify({ seen })).toBe('e1')
    await expect(verify({ seen })).rejects.toMatchObject({ code: 'webhook-replayed' })
  })

  test.each<[string, Partial<Received>]>([
    ['another body', { body: body.replace('ä', 'b') }],
    ['another id', { headers: { ...headers, 'webhook-id': 'e2' } }],
    ['another time', { headers: { ...headers, 'webhook-timestamp': String(now.getTime() / 1_000 + 1) } }],
    ['another secret', { secrets: [newSecret()] }],
    ['no secret', { secrets: [] }],
    ['no signature', { headers: { ...headers, 'webhook-signature': undefined } }],
    ['an empty signature', { headers: { ...headers, 'webhook-signature': 'v1,' } }],
    [
      'the signature of a version that there is not',
      { headers: { ...headers, 'webhook-signature': `v2,${headers['webhook-signature']?.slice(3)}` } },
    ],
    ['a header twice', { headers: { ...headers, 'webhook-id': ['e1', 'e1'] } }],
    [
      'a time that only begins as one',
      { headers: { ...headers, 'webhook-timestamp': `${headers['webhook-timestamp']}x` } },
    ],
    [
      'too many signatures',
      { headers: { ...headers, 'webhook-signature': `${'v1,a '.repeat(10)}${headers['webhook-signature']}` } },
    ],
    ['bytes that are no text', { body: Buffer.from([0x22, 0xff, 0x22]) }],
  ])('is forged: %s', async (_name, change) => {
    await expect(verify(change)).rejects.toMatchObject({ code: 'webhook-forged' })
  })

  test.each([-301_000, 301_000])('is stale: %s ms from now', async (offMs) => {
    await expect(verify({ now: new Date(now.getTime() + offMs) })).rejects.toMatchObject({ code: 'webhook-stale' })
    expect(await verify({ now: new Date(now.getTime() + Math.sign(offMs) * 299_000) })).toBe('e1')
  })

  test('that is forged or stale does not use up the id of the true one', async () => {
    const seen = seenInMemory()
    await expect(verify({ seen, secrets: [newSecret()] })).rejects.toThrow()
    await expect(verify({ seen, now: new Date(0) })).rejects.toThrow()
    expect(await verify({ seen })).toBe('e1')
  })
})
