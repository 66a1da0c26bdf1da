import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { testApp } from '../app/app-fixture.ts'
import type { IncomingRecord } from '../kafka/port.ts'
import { createReplayer } from '../messaging/replay.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { until } from '../until-fixture.ts'
import { closeWindows } from './closing.ts'
import { replayOperation } from './operations.ts'
import { pruneStream } from './prune.ts'
import { beginReplay, catchUp } from './rebuild.ts'
import { generationsOf } from './state.ts'
import type { Stream } from './stream.ts'
import {
  emptyStream,
  incoming,
  order,
  outcomeOf,
  ownerOf,
  type Placed,
  tally,
  tallyStream,
  tallyWindows,
} from './streaming-fixture.ts'
import { swapWhenReady } from './swap.ts'

jest.setTimeout(60_000)

let server: PostgresFixture
let database: Database<object>
let nowMs = 0

const minuteMs = 60_000

beforeAll(async () => {
  server = await startPostgres()
  database = openDatabase(testApp(tally, { postgres: server.create('tally') }), { clock: () => new Date(nowMs) })
  await migrate(database)
}, 60_000)

beforeEach(async () => {
  nowMs = Date.parse('2026-11-21T12:00:00Z')
  await emptyStream(database)
})

afterAll(async () => {
  await database?.close()
  await server?.stop()
})

/** Gives a replay records of a partition. */
async function reread(stream: Stream, generation: number, records: readonly IncomingRecord[], partition = 0) {
  const { signal } = new AbortController()
  const highWatermark = (records.at(-1)?.offset ?? 0n) + 1n
  const context = { signal, attempt: 1, done: () => undefined, postpone: () => undefined }
  await catchUp(stream, silentLog, generation)({ topic: 'orders', partition, records, highWatermark }, context)
}

async function closeAll(stream: Stream, partitions = [0]) {
  nowMs += tallyWindows.idleMs + 1
  await closeWindows(
    stream,
    partitions.map((partition) => ({ topic: 'orders', partition })),
  )
}

const results = async () => {
  const rows = await database.query<{ row: string }>(
    statement(`
    select starts_ms || ' ' || revision || ' ' || coalesce(counts->>'placed', '-') as row from kit.stream_results
    where generation = (select generation from kit.streams where state = 'active') order by starts_ms`),
  )
  return rows.map(({ row }) => row)
}

const letters = () =>
  database.query<{ number: bigint; event_id: string }>(
    statement(`select number, event_id from kit.dead_letters where state = 'waiting' order by number`),
  )

const published = async () =>
  (await database.query<{ id: string }>(statement('select event_id as id from kit.outbox order by event_id'))).map(
    ({ id }) => id,
  )

async function replayLetters(stream: Stream) {
  const parts = { database, workers: [], log: silentLog, signal: new AbortController().signal }
  for (const { number } of await letters()) {
    await createReplayer({ ...parts, consumers: stream.letters }).replay(number)
  }
}

const startOf = ({ timeMs }: Placed) => Math.floor(timeMs / minuteMs) * minuteMs

test('a batch that waits while a replay begins is applied to it, too', async () => {
  const stream = tallyStream(database)
  const apply = ownerOf(stream)
  await apply([order('a', 0), order('b', 1_000)])
  const [inserted, commit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const transaction: Stream['database']['transaction'] = (run, options) =>
    database.transaction(async (tx) => {
      const result = await run(tx)
      inserted.resolve()
      await commit.promise
      return result
    }, options)
  const slow = { ...stream, database: { ...database, transaction } }
  // Of a time of which nothing has come yet, so it goes on with the active one from its beginning.
  const begun = beginReplay(slow, { kind: 'time', timeMs: order('a', 10 * minuteMs).timeMs })
  await inserted.promise
  const waiting = apply([order('c', 11 * minuteMs)], 2)
  const blocked = statement(`select from pg_stat_activity where wait_event_type = 'Lock'`)
  await until(async () => (await database.query(blocked)).length > 0, 'the batch waits')
  commit.resolve()
  await Promise.all([begun, waiting])
  await apply([order('d', 11 * minuteMs + 1)], 3)
  await closeWindows(stream, [])
  const before = await outcomeOf(database)
  expect(await swapWhenReady(stream)).toMatchObject({ generation: 2 })
  expect(await outcomeOf(database)).toBe(before)
})

test('the owner of a partition goes on after a replay has ended', async () => {
  const stream = tallyStream(database)
  const apply = ownerOf(stream)
  const placed = [order('a', 0), order('b', 1_000)]
  await apply(placed)
  const { generation } = await beginReplay(stream, { kind: 'beginning' })
  await reread(stream, generation, incoming(placed))
  await swapWhenReady(stream)
  await apply([order('c', 2_000)], 2)
  await beginReplay(stream, { kind: 'time', timeMs: order('a', 10 * minuteMs).timeMs })
  await swapWhenReady(stream)
  await apply([order('d', 3_000)], 3)
})

test('an event that fails only in a replay becomes a dead letter, and its replay counts it', async () => {
  const placed = [order('a', 0), order('bad', 1_000, { customerId: 'poison' }), order('b', 2_000)]
  const [bearing, failing] = [tallyStream(database, {}, { bears: true }), tallyStream(database)]
  await ownerOf(bearing)(placed)
  await closeAll(bearing)
  expect(await letters()).toEqual([])
  const { generation } = await beginReplay(failing, { kind: 'beginning' })
  await reread(failing, generation, incoming(placed))
  await swapWhenReady(failing)
  expect((await letters()).map((row) => row.event_id)).toEqual([`bad@${placed[1]?.timeMs}`])
  await replayLetters(bearing)
  await closeAll(bearing)
  expect((await results()).at(-1)).toMatch(/ 3$/)
})

test('a replay gets past an event that cannot be written', async () => {
  const placed = [order('a', 0), order('bad', 1_000, { customerId: 'unwritable' }), order('b', 2_000)]
  const stream = tallyStream(database)
  await ownerOf(stream)(placed)
  const { generation } = await beginReplay(stream, { kind: 'beginning' })
  await reread(stream, generation, incoming(placed))
  expect(await swapWhenReady(stream)).toMatchObject({ generation })
  expect(await letters()).toHaveLength(1)
})

describe('a letter that was replayed is still counted after a replay', () => {
  test.each(['beginning', 'time'] as const)('from the %s', async (kind) => {
    const placed = [order('bad', 0, { customerId: 'poison' }), order('a', 1_000), order('b', 2 * minuteMs)]
    await ownerOf(tallyStream(database))(placed)
    const stream = tallyStream(database, {}, { bears: true })
    await replayLetters(stream)
    await closeAll(stream)
    const before = await results()
    const { generation } = await beginReplay(
      stream,
      kind === 'time' ? { kind, timeMs: order('a', 0).timeMs } : { kind },
    )
    const [from] = await database.query<{ offset: bigint }>(
      statement('select next_offset as offset from kit.stream_partitions where generation = $1'),
      [generation],
    )
    await reread(stream, generation, incoming(placed).slice(Number(from?.offset)))
    await swapWhenReady(stream)
    expect(await results()).toEqual(before)
  })
})

test('a window of which nothing is left is corrected, too', async () => {
  const placed = [order('a', 0, { customerId: 'poison' }), order('b', 3 * minuteMs)]
  const bearing = tallyStream(database, {}, { bears: true })
  await ownerOf(bearing)(placed)
  await closeAll(bearing)
  const id = (await published()).find((each) => each.startsWith('tally.'))
  const failing = tallyStream(database)
  const { generation } = await beginReplay(failing, { kind: 'beginning' })
  await reread(failing, generation, incoming(placed))
  await swapWhenReady(failing)
  expect((await results())[0]).toBe(`${startOf(placed[0] as Placed)} 2 -`)
  expect(await published()).toContain(id?.replace(/1$/, '2'))
})

test('an offset stands for the window of its record, though a newer one has begun before', async () => {
  const stream = tallyStream(database)
  await ownerOf(stream)([order('a', 0), order('b', minuteMs), order('c', minuteMs - 1)])
  const replay = replayOperation(stream, () => undefined)
  const asked = await replay({
    ...{ verb: 'POST', path: [], query: new URLSearchParams() },
    body: { from: 'offset 2', topic: 'orders' },
  })
  expect(asked).toMatchObject({ from: new Date(startOf(order('a', 0))).toISOString() })
})

test('the fact of an event that a replay counted first is published with its letter', async () => {
  const placed = [order('a', 0), order('bad', 1_000, { customerId: 'poison' })]
  await ownerOf(tallyStream(database))(placed)
  const stream = tallyStream(database, {}, { bears: true })
  const { generation } = await beginReplay(stream, { kind: 'beginning' })
  await reread(stream, generation, incoming(placed))
  await swapWhenReady(stream)
  await replayLetters(stream)
  expect(await published()).toContain(`bad@${placed[1]?.timeMs}.tally`)
})

test('an event whose letter was replayed, and that fails again in a replay, is a dead letter again', async () => {
  const placed = [order('a', 0), order('bad', 1_000, { customerId: 'poison' }), order('b', 2_000)]
  const [failing, bearing] = [tallyStream(database), tallyStream(database, {}, { bears: true })]
  await ownerOf(failing)(placed)
  await replayLetters(bearing)
  const { generation } = await beginReplay(failing, { kind: 'beginning' })
  await reread(failing, generation, incoming(placed))
  await swapWhenReady(failing)
  expect(await letters()).toHaveLength(1)
  await replayLetters(bearing)
  await closeAll(bearing)
  expect((await results()).at(-1)).toMatch(/ 3$/)
})

test('of generations that were replaced nothing is left in time, also not of what failed in them', async () => {
  const placed = [order('a', 0), order('bad', 1_000, { customerId: 'poison' })]
  const stream = tallyStream(database)
  await ownerOf(stream)(placed)
  for (const _ of [1, 2]) {
    const { generation } = await beginReplay(stream, { kind: 'beginning' })
    await reread(stream, generation, incoming(placed))
    await swapWhenReady(stream)
  }
  await pruneStream(stream, new Date(nowMs))
  const left = statement(`
    select 'streams ' || generation as row from kit.streams union all
    select 'partitions ' || generation from kit.stream_partitions union all
    select 'state ' || generation from kit.stream_state union all
    select 'inbox ' || consumer || ' ' || outcome from kit.inbox order by 1`)
  const rows = await database.query<{ row: string }>(left)
  expect(rows.map(({ row }) => row)).toEqual([
    'inbox tally 3 dead',
    'inbox tally 3 handled',
    'partitions 3',
    'state 3',
    'streams 3',
  ])
})

test('a key that is forgotten in the middle of a batch with an event of it is begun anew', async () => {
  const stream = tallyStream(database)
  await ownerOf(stream)([order('a', 0)])
  const transaction: Stream['database']['transaction'] = (run, options) =>
    database.transaction(
      (tx) =>
        run({
          ...tx,
          query: async (asked, values) => {
            if (asked.text.includes('for update of mine'))
              await pruneStream(stream, new Date(order('a', 0).timeMs + stream.keepMs + 1))
            return tx.query(asked, values)
          },
        }),
      options,
    )
  await ownerOf({ ...stream, database: { ...database, transaction } })([order('a', 1_000)], 1)
  const rows = await database.query<{ key: string }>(statement('select key from kit.stream_state'))
  expect(rows).toEqual([{ key: 'a' }])
})

test("while a replay is behind, whether it has come as far is asked in nobody's way", async () => {
  const stream = tallyStream(database)
  await ownerOf(stream)([order('a', 0)])
  await beginReplay(stream, { kind: 'beginning' })
  await database.transaction(async (tx) => {
    await generationsOf(tx, 'tally', 'share')
    const asked = swapWhenReady(stream).then(() => 'answered')
    expect(await Promise.race([asked, sleep(1_000, 'waits')])).toBe('answered')
  })
})
