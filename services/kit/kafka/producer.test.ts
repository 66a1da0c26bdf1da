import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { KafkaError, type OutgoingRecord, recordBytesMax } from './port.ts'
import { createProducer, type ProducerSession, splitRequests } from './producer.ts'

it('sends one after the other, and begins a new session after a failure', async () => {
  const { log, open } = sessions(async (keys) => {
    await sleep(keys === 'a' ? 10 : 1)
    if (keys === 'b') throw Object.assign(new Error('refused'), { type: 'OUT_OF_ORDER_SEQUENCE_NUMBER' })
  })
  const producer = createProducer(open, 1_000)
  const sent = await Promise.allSettled(['a', 'b', 'c', 'd'].map((key) => producer.send([record(key)])))
  expect(sent.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  expect(sent[1]).toMatchObject({ reason: { name: 'KafkaError', code: 'PRODUCER_STATE_LOST', retriable: true } })
  expect(log).toEqual(['open 1', '1: a', '1: b', 'abandon 1', 'open 2', '2: c', '2: d'])

  await producer.close()
  expect(log.at(-1)).toBe('close 2')
  await expect(producer.send([record('e')])).rejects.toMatchObject({ code: 'CLOSED' })
})

it('gives up at the deadline, tells the last failure, and abandons the session', async () => {
  const { log, open } = sessions(() => new Promise(() => undefined))
  const sending = createProducer(open, 30).send([record('a')])
  await expect(sending).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: expect.stringContaining('lost connection'),
  })
  expect(log).toEqual(['open 1', '1: a', 'abandon 1'])
})

it('connects again while the deadline allows, unless no retry helps', async () => {
  let opened = 0
  const failing = (code: 'UNAVAILABLE' | 'AUTHENTICATION_FAILED') => async (): Promise<ProducerSession> => {
    opened += 1
    throw new KafkaError(code, 'no')
  }
  await expect(createProducer(failing('UNAVAILABLE'), 500).send([record('a')])).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  })
  expect(opened).toBeGreaterThan(1)
  opened = 0
  await expect(createProducer(failing('AUTHENTICATION_FAILED'), 500).send([record('a')])).rejects.toMatchObject({
    code: 'AUTHENTICATION_FAILED',
  })
  expect(opened).toBe(1)
})

it('splits by bytes, in order, and refuses what fits in no request', () => {
  const third = recordBytesMax / 3
  const requests = splitRequests(['a', 'b', 'c', 'd'].map((key) => ({ ...record(key), value: Buffer.alloc(third) })))
  expect(requests.map((own) => own.map(({ key }) => key).join(''))).toEqual(['ab', 'cd'])
  expect(splitRequests([])).toEqual([])
  const headers = { big: 'x'.repeat(recordBytesMax) }
  expect(() => splitRequests([{ ...record('a'), headers }])).toThrow(/A record for t \(key a\) has \d+ bytes/)
})

function sessions(send: (keys: string) => Promise<void>) {
  const log: string[] = []
  let count = 0
  const open = async (): Promise<ProducerSession> => {
    count += 1
    const own = count
    log.push(`open ${own}`)
    return {
      async send(records) {
        const keys = records.map(({ key }) => key).join('')
        log.push(`${own}: ${keys}`)
        await send(keys)
      },
      lastFailure: () => 'lost connection',
      abandon: () => void log.push(`abandon ${own}`),
      close: async () => void log.push(`close ${own}`),
    }
  }
  return { log, open }
}

function record(key: string): OutgoingRecord {
  return { topic: 't', key, value: Buffer.from('v'), headers: {} }
}
