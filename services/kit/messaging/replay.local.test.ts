import type { DescMessage } from '@bufbuild/protobuf'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { statement } from '../store/database.ts'
import { silentLog } from '../telemetry/log.ts'
import { until } from '../until-fixture.ts'
import { deadLetterOperation } from './dead-letter-operation.ts'
import { deliverTo } from './delivery.ts'
import { unpark } from './inbox.ts'
import { type Before, recordsOf, shippingConsumer } from './messaging-fixture.ts'
import { createReplayer, type Replayed } from './replay.ts'
import { type ShippingStore, startShippingStore } from './shipping-fixture.ts'

let store: ShippingStore
let database: ShippingStore['database']

beforeAll(async () => {
  store = await startShippingStore()
  database = store.database
}, 60_000)

beforeEach(() => store.clear())

afterAll(() => store?.stop())

/** A group of one process: what the broker would bring, and what an operator asks. */
function group(before: Before, schema: DescMessage = OrderPlacedSchema, limits: { requestMs?: number } = {}) {
  const consumer = shippingConsumer(database, before)
  const consumers = new Map([['orders', consumer]])
  const deliver = deliverTo({ group: 'shipping', consumers, database, log: silentLog })
  const { signal } = new AbortController()
  const replayer = createReplayer({ database, consumers: [consumer], workers: [], log: silentLog, signal, ...limits })
  const operation = deadLetterOperation(database, replayer, silentLog)
  const ask = (path: string, body?: object) => {
    const [route = '', query = ''] = path.split('?')
    const verb = body ? 'POST' : 'GET'
    const parts = route.split('/').filter((part) => part !== '')
    return operation({ verb, path: parts, query: new URLSearchParams(query), body: { ...body } })
  }
  return {
    ask,
    replay: async (number: number) => (await ask(`${number}/replay`, {})) as Replayed,
    /** Events by `key/id`, each tried until it is settled. */
    async take(...events: readonly string[]) {
      const records = events.flatMap((event, index) => {
        const [key = '', id = key] = event.split('/')
        return recordsOf([key]).map((record) => ({
          ...record,
          offset: BigInt(index),
          headers: { ...record.headers, ce_id: id, ce_type: schema.typeName },
        }))
      })
      let left = records
      for (let attempt = 1; left.length > 0; attempt += 1) {
        const postponed: bigint[] = []
        const postpone = (offsets: readonly bigint[]) => void postponed.push(...offsets)
        const batch = { topic: 'orders', partition: 0, records: left, highWatermark: BigInt(records.length) }
        await deliver(batch, { signal, attempt, done: () => undefined, postpone })
        left = left.filter(({ offset }) => postponed.includes(offset))
      }
    },
  }
}

const effects = async () =>
  (await database.query<{ event_id: string }>(statement('select event_id from effect order by number'))).map(
    (row) => row.event_id,
  )
const states = () =>
  database.query<object>(statement('select event_id as id, code, state from kit.dead_letters order by number'))
const parked = () => database.query<object>(statement('select key, event_id from kit.parked_keys'))

describe('a dead letter', () => {
  test('has one effect, though it is replayed many times at once', async () => {
    let broken = true
    let calls = 0
    const { take, replay } = group(async () => {
      if (broken) throw new Error('no')
      calls += 1
      await new Promise((resolve) => setTimeout(resolve, 50))
    })
    await take('a')
    broken = false
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => replay(1)))
    const outcomes = all.map((one) => (one.status === 'fulfilled' ? one.value.outcomes[0]?.outcome : 'refused'))
    expect(outcomes.filter((outcome) => outcome === 'handled')).toHaveLength(1)
    expect([await effects(), calls]).toEqual([['a'], 1])
    expect(await states()).toEqual([{ id: 'a', code: 'ATTEMPTS_USED_UP', state: 'replayed' }])
    await expect(replay(1)).rejects.toMatchObject({ code: 'failed-precondition' })
    // Nor does a record that the broker brings again.
    await take('a')
    expect(await effects()).toEqual(['a'])
  })

  test('that a slower replay was taken away from is settled by the newest alone', async () => {
    const first = Promise.withResolvers<void>()
    let calls = 0
    let broken = true
    const { take, replay } = group(() => {
      if (broken) throw new Error('no')
      calls += 1
      return calls === 1 ? first.promise : undefined
    }, OrderConfirmedSchema)
    await take('a')
    broken = false
    const slow = replay(1)
    await until(() => calls === 1, 'the slow one has it')
    // As after the lease, which is longer than any handler may take.
    await database.query(statement(`update kit.dead_letters set replayed_until = now() - interval '1 s'`))
    expect((await replay(1)).outcomes).toMatchObject([{ outcome: 'handled' }])
    first.resolve()
    expect((await slow).outcomes).toMatchObject([{ outcome: 'busy' }])
    expect(await effects()).toEqual(['a'])
  })

  test('that fails again goes back with the new reason, and its key stays parked', async () => {
    let reason = 'the first'
    const { take, replay, ask } = group(() => {
      throw new Error(reason)
    })
    await take('a/1', 'a/2')
    reason = 'the second'
    expect((await replay(1)).outcomes).toEqual([{ number: '1', eventId: '1', outcome: 'failed', reason: 'the second' }])
    expect(await ask('1')).toMatchObject({ state: 'waiting', reason: 'the second', attempts: 4, replays: 1 })
    expect(await parked()).toEqual([{ key: 'a', event_id: '1' }])
    expect(await effects()).toEqual([])
  })

  test('goes before those behind it, in their order, and later messages of its key only after them all', async () => {
    let broken = true
    const { take, replay } = group((orderId) => {
      if (broken && orderId === 'a') throw new Error('no')
    })
    await take('a/1', 'b/other', 'a/2', 'a/3')
    broken = false
    await expect(replay(2)).rejects.toMatchObject({ code: 'failed-precondition', message: /behind 1/ })
    await take('a/4')
    expect(await effects()).toEqual(['other'])
    const { outcomes } = await replay(1)
    expect(outcomes.map(({ eventId, outcome }) => `${eventId} ${outcome}`)).toEqual(
      ['1', '2', '3', '4'].map((id) => `${id} handled`),
    )
    expect(await parked()).toEqual([])
    await take('a/5')
    expect(await effects()).toEqual(['other', '1', '2', '3', '4', '5'])
  })

  test('keeps its key’s order while events come and go on being replayed', async () => {
    let broken = true
    const { take, replay } = group(async () => {
      if (broken) throw new Error('no')
      await new Promise((resolve) => setTimeout(resolve, 2))
    })
    const ids = Array.from({ length: 60 }, (_, index) => String(index))
    await take(...ids.slice(0, 3).map((id) => `a/${id}`))
    broken = false
    const coming = (async () => {
      for (const id of ids.slice(3)) await take(`a/${id}`)
    })()
    await replay(1)
    await coming
    expect(await effects()).toEqual(ids)
    expect(await parked()).toEqual([])
  })

  test('is none where its key becomes free while it is being put aside: it is its turn then', async () => {
    let broken = true
    const { take } = group(() => {
      if (broken) throw new Error('no')
    })
    await take('a/1')
    broken = false
    const waits = statement(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%parked_keys%'`,
    )
    let taking: Promise<void> | undefined
    // As the replay of the last letter of the key, just before its commit.
    await database.transaction(async (tx) => {
      await tx.query(statement(`update kit.dead_letters set state = 'replayed'`))
      await unpark(tx, 'shipping', 'orders', 'a')
      taking = take('a/2')
      await until(async () => (await database.query(waits)).length > 0, 'the next event is about to stay behind')
    })
    await taking
    expect(await effects()).toEqual(['2'])
    expect(await parked()).toEqual([])
  })

  test('can be listed, read and discarded for a reason, which stays as the log', async () => {
    const { take, ask, replay } = group((orderId) => {
      if (orderId === 'a') throw new Error('no')
    })
    await take('a/1', 'a/2')
    expect(await ask('')).toMatchObject({
      counts: [{ destination: 'orders', count: 2 }],
      letters: [
        { number: '1', eventId: '1', code: 'ATTEMPTS_USED_UP', attempts: 3, key: 'a', place: '0/0' },
        { number: '2', eventId: '2', code: 'BEHIND', reason: 'behind 1' },
      ],
    })
    expect(await ask('2')).toMatchObject({ behind: '1', message: { orderId: 'a' }, headers: { ce_id: '2' } })
    await expect(ask('1/discard', {})).rejects.toMatchObject({ code: 'invalid-argument' })
    expect(await ask('1/discard', { reason: 'the order was a test' })).toMatchObject({ next: '2' })
    expect(await parked()).toHaveLength(1)
    await ask('2/discard', { reason: 'it, too' })
    expect(await parked()).toEqual([])
    expect(await ask('?state=discarded')).toMatchObject({
      letters: [{ number: '1', note: 'the order was a test' }, { note: 'it, too' }],
      counts: [],
    })
    await expect(replay(1)).rejects.toMatchObject({ code: 'failed-precondition' })
  })

  test('is replayed with all others, the failing ones left', async () => {
    let broken: readonly string[] = ['a', 'b', 'c']
    const { take, ask } = group((orderId) => {
      if (broken.includes(orderId)) throw new Error('no')
    })
    await take('a/1', 'b/2', 'a/3', 'c/4')
    broken = ['b']
    const { outcomes, next } = (await ask('replay', {})) as Replayed
    expect(next).toBeNull()
    expect(outcomes.map(({ eventId, outcome }) => `${eventId} ${outcome}`).sort()).toEqual([
      ...['1 handled', '2 failed', '3 handled', '4 handled'],
    ])
    expect(await parked()).toEqual([{ key: 'b', event_id: '2' }])
  })

  test('is replayed with all others, however many there are of a key, and whatever each of them died of', async () => {
    let broken: readonly string[] = ['a', 'b']
    const calls: string[] = []
    const { take, ask } = group((orderId) => {
      calls.push(orderId)
      if (broken.includes(orderId)) throw new Error('no')
    })
    const many = Array.from({ length: 130 }, (_, index) => `a/${index}`)
    await take(...many, 'b/failing')
    // As one in the middle that could not be read by the version that it met.
    await database.query(statement(`update kit.dead_letters set code = 'PAYLOAD_MALFORMED' where event_id = '7'`))
    broken = ['b']
    calls.length = 0
    const handled: string[] = []
    for (let after: string | null = '0'; after !== null; ) {
      const { outcomes, next } = (await ask('replay', { after })) as Replayed
      handled.push(...outcomes.filter(({ outcome }) => outcome === 'handled').map(({ eventId }) => eventId))
      after = next
    }
    expect(handled).toEqual(many.map((event) => event.slice(2)))
    expect(calls.filter((orderId) => orderId === 'b')).toHaveLength(1)
    expect(await parked()).toEqual([{ key: 'b', event_id: 'failing' }])
  }, 30_000)

  test('does not outlast the patience of whoever asked: the rest is told to come next', async () => {
    let broken = true
    const { take, replay, ask } = group(
      async () => {
        if (broken) throw new Error('no')
        await new Promise((resolve) => setTimeout(resolve, 30))
      },
      OrderPlacedSchema,
      { requestMs: 100 },
    )
    await take(...Array.from({ length: 12 }, (_, index) => `a/${index}`))
    broken = false
    const { outcomes, next } = await replay(1)
    expect(outcomes.length).toBeLessThan(5)
    expect(next).toBe(String(outcomes.length + 1))
    const { outcomes: more, next: after } = (await ask('replay', {})) as Replayed
    expect(more.length).toBeLessThan(5)
    expect(after).not.toBeNull()
    expect(await parked()).toHaveLength(1)
  })
})
