import { randomUUID } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { create } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { socketFolder, testApp } from '#kit/app/app-fixture.ts'
import { restServer } from '#kit/http/server.ts'
import type { MessageMeta } from '#kit/messaging/handlers.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { until } from '#kit/until-fixture.ts'
import { deliverWebhooks } from '#kit/webhooks/deliverer.ts'
import { targetPolicy } from '#kit/webhooks/target.ts'
import { seenInMemory, verifyWebhook } from '#kit/webhooks/verify.ts'
import { webhooksApi } from '#mesh/shop/interfaces.ts'
import { orderWebhooks } from '#mesh/shop/messages.ts'
import { webhooks, webhooksExposure } from '#mesh/shop.ts'
import { OrderConfirmedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { eventTypes, reactions } from './events.ts'
import { webhookHandlers } from './handlers.ts'
import { webhookRoutes } from './routes.ts'

jest.setTimeout(60_000)

type Body = Record<string, unknown>
type Arrival = { readonly headers: Record<string, string>; readonly body: string }

const sockets = socketFolder()
const address = sockets.at('webhooks')
const arrivals: Arrival[] = []
let server: PostgresFixture
let database: Database<object>
let app: ReturnType<typeof testApp<typeof webhooks>>
let receiverUrl = ''

/** Somebody outside, as the page on webhooks shows one. */
const receiver = createServer(async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  arrivals.push({ headers: request.headers as Record<string, string>, body: Buffer.concat(chunks).toString() })
  response.writeHead(204).end()
})

beforeAll(async () => {
  server = await startPostgres()
  app = testApp(webhooks, { listen: address, postgres: server.create('webhooks') })
  database = await app.add('database', openDatabase<object>(app))
  await migrate(database)
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
  const policy = targetPolicy(['127.0.0.1'])
  await app.add('deliverer', deliverWebhooks(app, orderWebhooks, database, { policy, pollMs: 20 }))
  const handlers = webhookHandlers(database, { webhook: orderWebhooks.name, types: eventTypes, policy })
  await app.add('rest', restServer(app, webhooksApi, webhookRoutes(handlers), webhooksExposure))
}, 60_000)

afterAll(async () => {
  await app?.stop()
  receiver.close()
  receiver.closeAllConnections()
  await server?.stop()
  sockets.remove()
})

function ask(
  verb: string,
  path: string,
  body?: object,
  key: string = randomUUID(),
): Promise<{ status: number; body: Body; headers: Body }> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'content-type': 'application/json', ...(key && { 'idempotency-key': key }) } : {}
    const asking = request(
      { socketPath: address.path, method: verb, path: `/api/v1/webhooks${path}`, headers },
      async (answer) => {
        const chunks: Buffer[] = []
        for await (const chunk of answer) chunks.push(chunk)
        const text = Buffer.concat(chunks).toString()
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text ? JSON.parse(text) : {} })
      },
    )
    asking.on('error', reject).end(body && JSON.stringify(body))
  })
}

describe('a subscription', () => {
  test('is made, told of an order in public words, looked at, replayed, and ended', async () => {
    const made = await ask('POST', '', { url: receiverUrl, types: ['order.confirmed'] })
    expect(made).toMatchObject({ status: 201, body: { state: 'active', secret: expect.stringMatching(/^whsec_/) } })
    expect(made.headers['cache-control']).toBe('no-store')
    const { id, secret } = made.body
    expect(JSON.stringify((await ask('GET', `/${id}`)).body)).not.toContain(String(secret))
    expect(JSON.stringify((await ask('GET', '')).body)).not.toContain(String(secret))

    const confirmed = create(OrderConfirmedSchema, {
      orderId: 'o-1',
      customerId: 'c-1',
      items: [{ productId: 'p-1', quantity: 2, unitPrice: { currency: 'EUR', minorUnits: 749n } }],
      total: { currency: 'EUR', minorUnits: 1_498n },
    })
    const meta = { id: 'e-1', time: new Date('2026-01-31T12:00:00Z') } as MessageMeta
    await database.transaction((tx) => reactions.OrderConfirmed(confirmed, tx, meta))
    await until(() => arrivals.length === 1, 'it is told')
    const [arrival] = arrivals
    if (!arrival) throw new Error('nothing arrived')
    expect(await verifyWebhook({ ...arrival, secrets: [String(secret)], seen: seenInMemory() })).toBe('e-1')
    expect(JSON.parse(arrival.body)).toEqual({
      type: 'order.confirmed',
      timestamp: '2026-01-31T12:00:00.000Z',
      data: {
        orderId: 'o-1',
        customerId: 'c-1',
        items: [{ productId: 'p-1', quantity: 2, unitPrice: { currency: 'EUR', minorUnits: 749 } }],
        total: { currency: 'EUR', minorUnits: 1_498 },
      },
    })

    const log = async () => (await ask('GET', `/${id}/deliveries?state=delivered`)).body.deliveries as Body[]
    await until(async () => (await log()).length === 1, 'it is logged')
    const [{ number } = {}] = await log()
    expect((await ask('POST', `/${id}/deliveries/${number}/replay`)).status).toBe(202)
    await until(() => arrivals.length === 2, 'it is told again')
    expect(arrivals.map(({ headers }) => headers['webhook-id'])).toEqual(['e-1', 'e-1'])
    await until(async () => (await log()).length === 1, 'it is logged again')
    const shown = await ask('GET', `/${id}/deliveries/${number}`)
    expect(shown.body).toMatchObject({
      replays: 1,
      payload: { type: 'order.confirmed' },
      log: [{ status: 204 }, { status: 204 }],
    })

    expect((await ask('DELETE', `/${id}`)).status).toBe(204)
    expect(await ask('GET', `/${id}`)).toMatchObject({ status: 404, body: { code: 'not-found' } })
  })

  test('that is asked for again, also at once, is one, and its secret is told again; its key stands for nothing else', async () => {
    const wanted = { url: `${receiverUrl}again`, types: ['order.placed', 'order.shipped'] }
    const key = randomUUID()
    const answers = await Promise.all([1, 2, 3].map(() => ask('POST', '', wanted, key)))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(2)
    const other = { ...wanted, types: ['order.placed'] }
    expect(await ask('POST', '', other, key)).toMatchObject({ status: 422, body: { code: 'idempotency-key-reused' } })
    expect(await ask('POST', '', wanted)).toMatchObject({ status: 409, body: { code: 'conflict' } })
    const keyless = await ask('POST', '', wanted, '')
    expect(keyless).toMatchObject({ status: 400, body: { errors: [{ field: 'header:idempotency-key' }] } })
    const { id } = answers[0]?.body ?? {}
    await ask('POST', `/${id}/secret`, { overlapHours: 0 })
    expect(await ask('POST', '', wanted, key)).toMatchObject({ status: 409, body: { code: 'conflict' } })
  })

  test('is tried, paused and given a new secret', async () => {
    arrivals.length = 0
    const { id } = (await ask('POST', '', { url: receiverUrl, types: [...eventTypes] })).body
    expect(await ask('PATCH', `/${id}`, { paused: true })).toMatchObject({
      status: 200,
      body: { state: 'paused', reason: 'asked' },
    })
    expect(await ask('POST', `/${id}/ping`)).toMatchObject({
      status: 202,
      body: { number: expect.stringMatching(/^\d+$/) },
    })
    expect(await ask('POST', `/${id}/secret`, { overlapHours: 1 })).toMatchObject({
      status: 201,
      body: { secret: expect.anything() },
    })
    expect(await ask('PATCH', `/${id}`, { paused: false })).toMatchObject({
      body: { state: 'active', secrets: [{}, {}] },
    })
    await until(() => arrivals.length === 1, 'the trial arrives')
    expect(JSON.parse(arrivals[0]?.body ?? '')).toMatchObject({ type: 'webhook.ping' })
    expect(arrivals[0]?.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    expect(
      (
        await ask('POST', `/${id}/replay`, {
          from: '2026-01-01T00:00:00Z',
          to: '2100-01-01T00:00:00Z',
          delivered: true,
        })
      ).status,
    ).toBe(202)
    await until(() => arrivals.length === 2, 'it arrives again')
  })
})

describe('bad input', () => {
  test.each<[string, Body, string, string]>([
    ['an inside address', { url: 'https://169.254.169.254/', types: ['order.placed'] }, 'url', 'inside'],
    ['a service of ours', { url: 'https://orders/', types: ['order.placed'] }, 'url', 'inside'],
    ['plain HTTP', { url: 'http://example.com/', types: ['order.placed'] }, 'url', 'scheme'],
    ['a password', { url: 'https://a:b@example.com/', types: ['order.placed'] }, 'url', 'credentials'],
    ['no URL', { types: ['order.placed'] }, 'url', 'required'],
    ['a type that there is not', { url: receiverUrl, types: ['order.eaten'] }, 'types[0]', 'enum'],
    [
      'a field that nobody knows',
      { url: receiverUrl, types: ['order.placed'], secret: 'mine' },
      'secret',
      'additionalProperties',
    ],
  ])('%s is named', async (_name, body, field, code) => {
    expect(await ask('POST', '', body)).toMatchObject({
      status: 400,
      body: { code: 'invalid-argument', errors: [{ field, code }] },
    })
  })

  test('what does not exist is not found, and a page is bounded', async () => {
    expect((await ask('GET', '/we_nope/deliveries')).status).toBe(404)
    expect((await ask('POST', '/we_nope/ping')).status).toBe(404)
    expect((await ask('POST', '/we_nope/secret', {})).status).toBe(404)
    expect((await ask('GET', '?limit=1000')).status).toBe(400)
  })

  test('an id that nothing can have is not found wherever it stands; what is no moment is refused', async () => {
    const span = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' }
    const asked: [string, string, object?][] = [
      ['GET', '/a%00b'],
      ['PATCH', '/a%00b', { paused: true }],
      ['DELETE', '/a%00b'],
      ['POST', '/a%00b/secret', {}],
      ['POST', '/a%00b/ping'],
      ['GET', '/a%00b/deliveries'],
      ['GET', '/a%00b/deliveries/1'],
      ['POST', '/a%00b/deliveries/1/replay'],
      ['POST', '/a%00b/replay', span],
    ]
    const answers = await Promise.all(asked.map((each) => ask(...each)))
    expect(answers.map(({ status }) => status)).toEqual(asked.map(() => 404))
    expect((await ask('GET', '?after=%00')).status).toBe(400)
    const { id } = (await ask('POST', '', { url: `${receiverUrl}moments`, types: ['order.placed'] })).body
    for (const wrong of [{ from: '2016-12-31T23:59:60Z' }, { to: '2026-12-31T23:59:60Z' }]) {
      expect((await ask('POST', `/${id}/replay`, { ...span, ...wrong })).status).toBe(400)
    }
    const all = { from: '0000-01-01T00:00:00Z', to: '9999-12-31T23:59:59Z' }
    expect((await ask('POST', `/${id}/replay`, all)).status).toBe(202)
  })
})
