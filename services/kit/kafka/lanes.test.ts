import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from '@jest/globals'
import { until } from '../until-fixture.ts'
import { Lanes, type LanesOptions } from './lanes.ts'
import type { IncomingRecord, KafkaError } from './port.ts'

const p0 = { topic: 't', partition: 0 }
const p1 = { topic: 't', partition: 1 }

it('never runs two handlers of one partition, also when it was lost and came back', async () => {
  const release = Promise.withResolvers<void>()
  const begun: bigint[] = []
  const { lanes, handled } = create({
    async handle({ records }) {
      begun.push(records[0]?.offset ?? -1n)
      if (begun.length === 1) await release.promise
    },
  })
  lanes.assign('m', [p0])
  lanes.offer(p0, records(0, 1), 2n)
  await sleep(5)
  lanes.revoke()
  lanes.assign('n', [p0])
  lanes.offer(p0, records(0, 1), 2n)
  await sleep(5)
  expect(begun).toEqual([0n])
  expect(handled).toEqual([])

  release.resolve()
  await sleep(5)
  expect(begun).toEqual([0n, 0n])
  expect(handled).toEqual(['0:2'])
})

it('goes on where it is in kept partitions, and aborts the others', async () => {
  const signals: AbortSignal[] = []
  const release = Promise.withResolvers<void>()
  const { lanes, handled } = create({
    async handle(_batch, { signal }) {
      signals.push(signal)
      await release.promise
    },
  })
  lanes.assign('m', [p0, p1])
  lanes.offer(p0, records(0, 3), 9n)
  lanes.offer(p1, records(5, 6), 9n)
  await sleep(5)
  expect(lanes.assign('m', [p0])).toEqual([{ ...p0, offset: 4n }])
  release.resolve()
  await sleep(5)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
  expect(handled).toEqual(['0:4'])
  expect(lanes.lag()).toEqual([{ ...p0, lag: 5 }])

  expect(lanes.assign('another member id', [p0])).toEqual([])
})

it('counts the attempts of the first record that is not done', async () => {
  const attempts: string[] = []
  const { lanes, handled, errors } = create({
    async handle({ records }, { attempt, done }) {
      attempts.push(`${records[0]?.offset}#${attempt}`)
      if (attempts.length === 2) done(1n)
      if (attempts.length < 4) throw new Error('not yet')
    },
  })
  lanes.assign('m', [p0])
  lanes.offer(p0, records(0, 2), 3n)
  await until(() => handled.includes('0:3'), 'the third is handled')
  expect(attempts).toEqual(['0#1', '0#2', '2#2', '2#3'])
  expect(handled).toEqual(['0:2', '0:3'])
  expect(errors.map(({ code }) => code)).toEqual(['HANDLER_FAILED', 'HANDLER_FAILED', 'HANDLER_FAILED'])
})

it('goes on past a postponed key without waiting, and keeps the order of that key and its place', async () => {
  const seen: string[] = []
  let mended = false
  const { lanes, handled, errors } = create({
    batchMax: 2,
    backoff: { firstMs: 60, maxMs: 60 },
    async handle({ records }, { attempt, postpone }) {
      for (const { offset, key } of records) {
        seen.push(`${key}${offset}#${attempt}`)
        if (key === 'bad' && !mended) postpone([offset], new Error('not yet'))
      }
    },
  })
  lanes.assign('m', [p0])
  const keys = ['bad', 'a', 'b', 'bad', 'c']
  const queued = keys.map((key, at) => ({ ...record(at), key }))
  lanes.offer(p0, queued, 6n)
  await sleep(5)
  lanes.offer(p0, [{ ...record(5), key: 'late' }], 6n)
  await sleep(10)
  expect(seen).toEqual(['bad0#1', 'a1#1', 'b2#1', 'c4#1', 'late5#1'])
  expect([handled, lanes.lag()]).toEqual([[], [{ ...p0, lag: 6 }]])
  expect(errors.map(({ code }) => code)).toEqual(['HANDLER_FAILED'])

  mended = true
  await until(() => handled.length > 0, 'one is handled')
  expect(seen.slice(5)).toEqual(['bad0#2', 'bad3#2'])
  expect(handled).toEqual(['0:6'])
})

it('goes no further than a thousand past a postponed record', async () => {
  let most = 0n
  const { lanes, handled } = create({
    backoff: { firstMs: 60_000, maxMs: 60_000 },
    async handle({ records }, { postpone }) {
      for (const { offset, key } of records) {
        if (key === 'bad') postpone([offset], new Error('no'))
        most = offset
      }
    },
  })
  lanes.assign('m', [p0])
  lanes.offer(
    p0,
    records(0, 0).map((each) => ({ ...each, key: 'bad' })),
    1_500n,
  )
  lanes.offer(p0, records(1, 1_499), 1_500n)
  await sleep(30)
  expect(handled).toEqual([])
  expect(most).toBeGreaterThan(900n)
  expect(most).toBeLessThan(1_100n)
  await lanes.drain(1_000)
})

it('stops fetching a partition with two batches queued, or one megabyte, until one is left', async () => {
  const release = Promise.withResolvers<void>()
  const { lanes, held } = create({ batchMax: 2, handle: () => release.promise })
  lanes.assign('m', [p0, p1])
  lanes.offer(p0, records(0, 3), 9n)
  expect(held).toEqual([])
  lanes.offer(p0, records(4, 4), 9n)
  lanes.offer(p1, [{ ...record(0), value: Buffer.alloc(1_048_577) }], 1n)
  expect(held).toEqual(['hold 0', 'hold 1'])
  release.resolve()
  await until(() => held.length === 4, 'four are held')
  expect(held.slice(2).toSorted()).toEqual(['free 0', 'free 1'])
})

it('handles as many partitions at once as it may, and drains without starting another', async () => {
  let running = 0
  let most = 0
  const { lanes, handled } = create({
    partitionsAtOnce: 2,
    async handle() {
      running += 1
      most = Math.max(most, running)
      await sleep(20)
      running -= 1
    },
  })
  const partitions = [0, 1, 2, 3].map((partition) => ({ topic: 't', partition }))
  lanes.assign('m', partitions)
  for (const partition of partitions) lanes.offer(partition, records(0, 0), 1n)
  await sleep(5)
  await lanes.drain(1_000)
  expect(most).toBe(2)
  expect(handled).toEqual(['0:1', '1:1'])
})

it('drains no longer than the limit, and commits nothing that ends after it', async () => {
  const release = Promise.withResolvers<void>()
  const { lanes, handled } = create({ handle: () => release.promise })
  lanes.assign('m', [p0])
  lanes.offer(p0, records(0, 0), 1n)
  await lanes.drain(20)
  release.resolve()
  await sleep(5)
  expect(handled).toEqual([])
})

function create(options: Partial<LanesOptions>) {
  const handled: string[] = []
  const held: string[] = []
  const errors: KafkaError[] = []
  const lanes = new Lanes({
    ...{ partitionsAtOnce: 4, batchMax: 100, backoff: { firstMs: 1, maxMs: 1 }, handle: async () => undefined },
    onHandled: ({ partition, offset }) => handled.push(`${partition}:${offset}`),
    onHold: ({ partition }, hold) => held.push(`${hold ? 'hold' : 'free'} ${partition}`),
    onError: (error) => errors.push(error),
    ...options,
  })
  return { lanes, handled, held, errors }
}

function records(first: number, last: number): IncomingRecord[] {
  return Array.from({ length: last - first + 1 }, (_, at) => record(first + at))
}

function record(offset: number): IncomingRecord {
  return { offset: BigInt(offset), key: 'k', value: Buffer.from('v'), headers: {}, timestampMs: 0 }
}
