import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { type OrderPlaced, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type AnyTx, type Statement, statement } from '../store/database.ts'
import { StoreUnavailable } from '../store/errors.ts'
import { StreamConflict } from '../store/event-store.ts'
import { silentLog } from '../telemetry/log.ts'
import { until } from '../until-fixture.ts'
import { pruneDeadLetters } from './dead-letters.ts'
import { deliverTo } from './delivery.ts'
import { handlersByType } from './handlers.ts'
import { pruneInbox } from './inbox.ts'
import { type Before, recordsOf, shippingConsumer } from './messaging-fixture.ts'
import { type ShippingStore, startShippingStore } from './shipping-fixture.ts'

let store: ShippingStore
let database: ShippingStore['database']

beforeAll(async () => {
  store = await startShippingStore()
  database = store.database
}, 60_000)

beforeEach(() => store.clear())

afterAll(() => store?.stop())

const deliverer = (before: Before) => {
  const consumers = new Map([['orders', shippingConsumer(database, before)]])
  return deliverTo({ group: 'shipping', consumers, database, log: silentLog })
}
const batchOf = (orderIds: readonly string[]) => {
  const records = recordsOf(orderIds)
  return { topic: 'orders', partition: 0, records, highWatermark: BigInt(records.length) }
}
const outcomes = () => database.query<object>(statement('select event_id, outcome from kit.inbox'))

describe('what says nothing about a message costs it no attempt', () => {
  test('a lock that is not had in time, again and again', async () => {
    let lives = 0
    const deliver = deliverer(() => {
      lives += 1
      if (lives <= 6) throw new StoreUnavailable(new Error('canceling statement due to lock timeout'))
    })
    const { signal } = new AbortController()
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      const delivery = deliver(batchOf(['healthy']), {
        signal,
        attempt,
        done: () => undefined,
        postpone: () => undefined,
      })
      await expect(delivery).rejects.toThrow(StoreUnavailable)
    }
    await deliver(batchOf(['healthy']), { signal, attempt: 7, done: () => undefined, postpone: () => undefined })
    expect(await outcomes()).toEqual([{ event_id: 'healthy', outcome: 'handled' }])
  })

  test('a partition that is taken away while its handler runs, again and again', async () => {
    let partition = new AbortController()
    let lives = 0
    const deliver = deliverer((_orderId, { signal }) => {
      lives += 1
      if (lives <= 6) partition.abort()
      signal.throwIfAborted()
    })
    for (let life = 1; life <= 6; life += 1) {
      partition = new AbortController()
      const context = { signal: partition.signal, attempt: 1, done: () => undefined, postpone: () => undefined }
      await expect(deliver(batchOf(['healthy']), context)).rejects.toThrow()
    }
    partition = new AbortController()
    await deliver(batchOf(['healthy']), {
      signal: partition.signal,
      attempt: 1,
      done: () => undefined,
      postpone: () => undefined,
    })
    expect(await outcomes()).toEqual([{ event_id: 'healthy', outcome: 'handled' }])
  })

  test('a database that goes away before the attempt can be given back', async () => {
    let outages = 0
    const deliver = deliverer(async () => {
      outages += 1
      if (outages > 4) return
      await store.server.crash()
      throw new StoreUnavailable(new Error('gone'))
    })
    const { signal } = new AbortController()
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      const delivery = deliver(batchOf(['healthy']), {
        signal,
        attempt,
        done: () => undefined,
        postpone: () => undefined,
      })
      await expect(delivery).rejects.toThrow(StoreUnavailable)
      await store.server.start()
    }
    await deliver(batchOf(['healthy']), { signal, attempt: 5, done: () => undefined, postpone: () => undefined })
    expect(await outcomes()).toEqual([{ event_id: 'healthy', outcome: 'handled' }])
  }, 30_000)
})

describe('others that are in the way', () => {
  const contended = (hinder: (tx: AnyTx, tries: number) => Promise<unknown>) => {
    let tries = 0
    const handlers = handlersByType([OrderPlacedSchema], {
      OrderPlaced: async (_order: OrderPlaced, tx: AnyTx) => {
        tries += 1
        await hinder(tx, tries)
      },
    })
    const shipping = { ...shippingConsumer(database, () => undefined), handlers }
    const consumers = new Map([['orders', shipping]])
    return { deliver: deliverTo({ group: 'shipping', consumers, database, log: silentLog }), tries: () => tries }
  }
  const { signal } = new AbortController()
  const raise = (code: string) => (tx: AnyTx) =>
    tx.query(statement(`do $$ begin raise exception 'in the way' using errcode = '${code}'; end $$`))

  test.each([
    ['a deadlock', raise('40P01')],
    ['a serialization failure', raise('40001')],
    [
      'a statement that took too long',
      (tx: AnyTx) => tx.query(statement('select pg_cancel_backend(pg_backend_pid())')),
    ],
    ['another that wrote to the stream first', () => Promise.reject(new StreamConflict('order', 1))],
  ])('cost a message no attempt: %s', async (_, hinder) => {
    const { deliver, tries } = contended(async (tx, tries) => tries < 5 && hinder(tx))
    const postpone = jest.fn()
    await deliver(batchOf(['healthy']), { signal, attempt: 1, done: () => undefined, postpone })
    expect(postpone).not.toHaveBeenCalled()
    expect(tries()).toBe(5)
    expect(await outcomes()).toEqual([{ event_id: 'healthy', outcome: 'handled' }])
  })

  test('do not hold it up for ever: after so many tries it has used an attempt up', async () => {
    const { deliver, tries } = contended(raise('40P01'))
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await deliver(batchOf(['bad']), { signal, attempt, done: () => undefined, postpone: () => undefined })
      expect(tries()).toBe(5 * attempt)
    }
    const letters = statement('select event_id as id, attempts, reason from kit.dead_letters')
    expect(await database.query<object>(letters)).toEqual([{ id: 'bad', attempts: 3, reason: 'in the way' }])
  })
})

test('a key that fails is postponed with what follows it; the others of the batch have their effect', async () => {
  const deliver = deliverer((orderId) => {
    if (orderId === 'bad') throw new Error('not yet')
  })
  const postponed: (readonly bigint[])[] = []
  const postpone = (offsets: readonly bigint[]) => void postponed.push(offsets)
  const { signal } = new AbortController()
  const batch = batchOf(['a', 'bad', 'b', 'bad'])
  await deliver(batch, { signal, attempt: 1, done: () => undefined, postpone })
  expect(postponed).toEqual([[1n, 3n]])
  expect(await outcomes()).toEqual(['a', 'b'].map((event_id) => ({ event_id, outcome: 'handled' })))
})

test('a message that its handler ignores is neither handled nor remembered; the next ones are', async () => {
  const handled: string[] = []
  const handlers = handlersByType([OrderPlacedSchema], {
    OrderPlaced: {
      ignores: ({ orderId }: OrderPlaced) => orderId === 'led',
      handle: async ({ orderId }: OrderPlaced) => void handled.push(orderId),
    },
  })
  const shipping = { ...shippingConsumer(database, () => undefined), handlers }
  const deliver = deliverTo({ group: 'shipping', consumers: new Map([['orders', shipping]]), database, log: silentLog })
  const { signal } = new AbortController()
  const context = { signal, attempt: 1, done: () => undefined, postpone: () => undefined }
  await deliver(batchOf(['led', 'ours']), context)
  await deliver(batchOf(['led']), context)
  expect(handled).toEqual(['ours'])
  expect(await outcomes()).toEqual([{ event_id: 'ours', outcome: 'handled' }])
})

test.each([
  ['a character that Postgres cannot hold', 'k\u0000'],
  ['more characters than an index holds', 'k'.repeat(10_000)],
])('records whose key has %s become dead letters, readable or not; their neighbours go on', async (_, key) => {
  const deliver = deliverer(() => undefined)
  const [first, readable, unreadable, last] = recordsOf(['a', 'readable', 'unreadable', 'b'])
  if (!first || !readable || !unreadable || !last) throw new Error('four records were made')
  const records = [first, { ...readable, key }, { ...unreadable, key, value: Buffer.from([0xff]) }, last]
  const { signal } = new AbortController()
  const postponed: unknown[] = []
  const postpone = (_offsets: readonly bigint[], cause: unknown) => void postponed.push(cause)
  const batch = { topic: 'orders', partition: 0, records, highWatermark: 4n }
  await deliver(batch, { signal, attempt: 1, done: () => undefined, postpone })
  expect(postponed).toEqual([])
  const letters = statement(`
    select letter.event_id as id, letter.key, code, outbox.key as told from kit.dead_letters as letter
    join kit.outbox as outbox using (event_id) order by number`)
  expect(await database.query<object>(letters)).toEqual([
    { id: 'readable', key: '', code: 'PERMANENT', told: '' },
    { id: 'unreadable', key: '', code: 'PAYLOAD_MALFORMED', told: '' },
  ])
  const handled = statement(`select event_id as id from kit.inbox where outcome = 'handled' order by id`)
  expect(await database.query<object>(handled)).toEqual([{ id: 'a' }, { id: 'b' }])
})

test('an error that quotes what Postgres cannot hold is counted like any other, so that its message is given up', async () => {
  const deliver = deliverer((orderId) => {
    if (orderId === 'bad') throw new Error('no such thing: \u0000')
  })
  const { signal } = new AbortController()
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await deliver(batchOf(['bad', 'good']), { signal, attempt, done: () => undefined, postpone: () => undefined })
  }
  const letters = statement('select event_id as id, attempts, reason from kit.dead_letters')
  expect(await database.query<object>(letters)).toEqual([{ id: 'bad', attempts: 3, reason: 'no such thing: \ufffd' }])
})

test('what is forgotten is found by its age, and not by reading all that is remembered', async () => {
  const asked: { text: string; values: readonly unknown[] }[] = []
  const spied = {
    ...database,
    query: <Row>(statement: Statement, values: readonly unknown[] = []) => {
      asked.push({ text: statement.text, values })
      return database.query<Row>(statement, values)
    },
  }
  const remember = (at: string, count: number) => `
    insert into kit.inbox (consumer, event_id, at)
    select 'shipping', '${at}' || number, now() - interval '${at}' from generate_series(1, ${count}) as number`
  await database.query(statement(remember('9 days', 6_000)))
  await database.query(statement(remember('1 day', 20_000)))
  await database.query(statement('analyze kit.inbox'))
  jest.useFakeTimers({ now: Date.now(), doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'] })
  const stop = pruneInbox(spied, 8 * 86_400_000, (error) => {
    throw error
  })
  jest.advanceTimersByTime(60_000)
  jest.useRealTimers()
  stop()
  await until(() => asked.length >= 3, 'two thousands and the rest')
  await pruneDeadLetters(spied, 90 * 86_400_000)
  expect(await outcomes()).toHaveLength(20_000)
  const session = await database.session()
  try {
    // Small as the tables are here, reading them whole would do.
    await session.query({ text: 'set enable_bitmapscan = off; set enable_seqscan = off' })
    for (const { text, values } of [asked[0], asked.at(-1)].filter((one) => one !== undefined)) {
      const { rows } = await session.query({ text: `explain ${text}`, values: [...values] })
      expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Index Cond: \((at|settled_at) </)
    }
  } finally {
    session.release(true)
  }
})
