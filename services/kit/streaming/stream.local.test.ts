import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes } from '#graph/topic.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { createReplayer } from '../messaging/replay.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { Fenced } from './batch.ts'
import { closeWindows, watermarkOf } from './closing.ts'
import { windowsOperation } from './operations.ts'
import { pruneStream } from './prune.ts'
import { beginReplay, catchUp } from './rebuild.ts'
import type { Stream } from './stream.ts'
import {
  emptyStream,
  incoming,
  order,
  orderEvents,
  outcomeOf,
  ownerOf,
  tally,
  tallyStream,
  tallyWindows,
} from './streaming-fixture.ts'
import { swapWhenReady } from './swap.ts'

jest.setTimeout(60_000)

const compileCache = mkdtempSync(join(tmpdir(), 'parley-cache-'))
let server: PostgresFixture
let at: PostgresConfiguration
let database: Database<object>
let nowMs = 0

beforeAll(async () => {
  server = await startPostgres()
  at = server.create('tally')
  database = openDatabase(testApp(tally, { postgres: at }), { clock: () => new Date(nowMs) })
  await migrate(database)
}, 60_000)

beforeEach(async () => {
  nowMs = Date.parse('2026-11-21T12:00:00Z')
  await empty()
})

afterAll(async () => {
  await database?.close()
  await server?.stop()
  rmSync(compileCache, { recursive: true, force: true })
})

const empty = () => emptyStream(database)
const owner = ownerOf
const minuteMs = 60_000
const base = order('', 0).timeMs

const published = async () =>
  (await database.query<{ event_id: string }>(statement('select event_id from kit.outbox order by event_id'))).map(
    (row) => row.event_id,
  )
const windowsOf = async (stream: Stream) => {
  const operation = windowsOperation(stream, ({ counts }) => ({ placed: Number(counts.placed) }))
  return (await operation({ verb: 'GET', path: [], query: new URLSearchParams(), body: {} })) as {
    watermark: string
    lateEvents: number
    windows: { start: string; revision: number; placed: number }[]
  }
}

describe('a partition has one writer', () => {
  test('an owner that was replaced while it slept writes nothing, and whoever has it goes on', async () => {
    const [stale, current] = [owner(tallyStream(database)), owner(tallyStream(database))]
    await stale([order('a', 0)])
    await current([order('b', 1)], 1)
    const before = await outcomeOf(database)
    await expect(stale([order('c', 2), order('d', 3)], 2)).rejects.toThrow(Fenced)
    expect(await outcomeOf(database)).toBe(before)
    await current([order('c', 2), order('d', 3)], 2)
    expect(await published()).toHaveLength(4)
  })

  test('what is delivered again has no effect, in whatever batches', async () => {
    const log = Array.from({ length: 9 }, (_, index) => order(`k${index % 3}`, index * 1_000))
    const first = owner(tallyStream(database))
    await first(log.slice(0, 5))
    await first(log.slice(3), 3)
    await owner(tallyStream(database))(log)
    const after = await outcomeOf(database)
    const ids = await published()
    await empty()
    await owner(tallyStream(database))(log)
    expect(after).toBe(await outcomeOf(database))
    expect(ids).toEqual(await published())
  })

  test('what a producer sends once more, as another record of the same event, counts once', async () => {
    const [stream, again] = [tallyStream(database), order('a', 0)]
    const apply = owner(stream)
    await apply([again, order('b', 1_000), again])
    await apply([again, order('c', 2_000)], 3)
    await apply([order('d', 3 * minuteMs)], 5)
    await closeWindows(stream, [])
    expect((await windowsOf(stream)).windows).toMatchObject([{ placed: 3 }])
    expect((await published()).filter((id) => !id.startsWith('tally.'))).toHaveLength(4)
  })

  test('two partitions with events of one key, at the same time, lose none of them', async () => {
    const log = Array.from({ length: 20 }, (_, index) => index)
    const owners = [owner(tallyStream(database)), owner(tallyStream(database))]
    await Promise.all(
      owners.map(async (apply, partition) => {
        for (const index of log) {
          const batch = [order('x', index * 2 + partition), order('y', index * 2 + partition)]
          await apply(partition === 0 ? batch : batch.toReversed(), index * 2, partition)
        }
      }),
    )
    const rows = await database.query<{ key: string; seen: number }>(
      statement(`select key, jsonb_array_length(state->'ids') as seen from kit.stream_state order by key`),
    )
    expect(rows).toEqual([
      { key: 'x', seen: 40 },
      { key: 'y', seen: 40 },
    ])
  })
})

test('a process that is killed before any statement of a batch, or after its commit, leaves what the next one makes whole', async () => {
  const log = [
    order('a', 0),
    order('b', 70_000),
    order('late', 5, {}),
    order('a', 61_000),
    order('c', 150_000),
    order('b', 99_000),
  ]
  await owner(tallyStream(database))(log)
  await closeWindows(tallyStream(database), [])
  const [whole, ids] = [await outcomeOf(database), await published()]
  expect(whole).toContain('late@')

  let died = 0
  for (let dieAt = 1; ; dieAt += 1) {
    await empty()
    const killed = await child({ postgres: at, kafka: null, dieAt, records: log })
    if (!killed) break
    died += 1
    await owner(tallyStream(database))(log)
    await closeWindows(tallyStream(database), [])
    expect([dieAt, await outcomeOf(database), await published()]).toEqual([dieAt, whole, ids])
  }
  // The statements of the batch and its commit, and those of the closing of windows.
  expect(died).toBeGreaterThan(12)
  expect([await outcomeOf(database), await published()]).toEqual([whole, ids])
}, 180_000)

describe('windows', () => {
  test('close by the watermark, once; a partition that lags holds them open, an idle one does not', async () => {
    const stream = tallyStream(database)
    const [first, second] = [owner(stream), owner(stream)]
    await first([order('a', 0), order('b', 3 * minuteMs)], 0, 0)
    await second([order('c', 1_000)], 0, 1)
    await closeWindows(stream, [])
    expect((await windowsOf(stream)).windows).toEqual([])

    nowMs += tallyWindows.idleMs + 1
    await closeWindows(stream, [{ topic: 'orders', partition: 1 }])
    const [closed] = (await windowsOf(stream)).windows
    expect(closed).toMatchObject({ start: '2026-11-21T10:00:00.000Z', revision: 1, placed: 2 })
    await closeWindows(stream, [])
    expect((await published()).filter((id) => id.startsWith('tally.2026'))).toEqual([
      'tally.2026-11-21T10:00:00.000Z.1',
    ])
  })

  test('what an idle partition brings after all, in time by its own log, corrects the window that was closed without it', async () => {
    const stream = tallyStream(database)
    const [first, second] = [owner(stream), owner(stream)]
    await first([order('a', 0), order('b', 3 * minuteMs)], 0, 0)
    await second([order('c', 1_000)], 0, 1)
    nowMs += tallyWindows.idleMs + 1
    await closeWindows(stream, [{ topic: 'orders', partition: 1 }])
    await second([order('d', 2_000)], 1, 1)
    nowMs += tallyWindows.idleMs + 1
    await closeWindows(stream, [{ topic: 'orders', partition: 1 }])
    const { windows, lateEvents } = await windowsOf(stream)
    expect(windows.at(-1)).toMatchObject({ start: '2026-11-21T10:00:00.000Z', revision: 2, placed: 3 })
    expect(lateEvents).toBe(0)
  })

  test('an event later than is allowed is kept apart and told of', async () => {
    const stream = tallyStream(database)
    await owner(stream)([order('a', 0), order('b', 70_000), order('too-late', 59_999)])
    nowMs += tallyWindows.idleMs + 1
    await closeWindows(stream, [{ topic: 'orders', partition: 0 }])
    const { windows, lateEvents } = await windowsOf(stream)
    expect(windows.at(-1)).toMatchObject({ placed: 1 })
    expect(lateEvents).toBe(1)
  })
})

describe('an event that cannot be applied', () => {
  test('is a dead letter, its neighbours count, and once it is mended a replay of the letter counts it', async () => {
    const stream = tallyStream(database)
    const bad = order('bad', 1_000, { customerId: 'poison' })
    await owner(stream)([order('a', 0), bad, order('b', 2_000)])
    const letters = await database.query<{ number: bigint; code: string }>(
      statement('select number, code from kit.dead_letters'),
    )
    expect(letters).toMatchObject([{ code: 'PERMANENT' }])

    const bearing = tallyStream(database, {}, { bears: true })
    const { signal } = new AbortController()
    const parts = { database, workers: [], log: silentLog, signal }
    const replayed = await createReplayer({ ...parts, consumers: bearing.letters }).replay(letters[0]?.number ?? 0n)
    expect(replayed.outcomes).toMatchObject([{ outcome: 'handled' }])
    nowMs += tallyWindows.idleMs + 1
    await closeWindows(stream, [{ topic: 'orders', partition: 0 }])
    expect((await windowsOf(stream)).windows).toMatchObject([{ placed: 3 }])
  })

  test('is counted once, where a replay with mended code counted it before its letter is replayed', async () => {
    const placed = [order('a', 0), order('bad', 1_000, { customerId: 'poison' }), order('b', 2_000)]
    await owner(tallyStream(database))(placed)
    const bearing = tallyStream(database, {}, { bears: true })
    const { generation } = await beginReplay(bearing, { kind: 'beginning' })
    const batch = { topic: 'orders', partition: 0, records: incoming(placed), highWatermark: 3n }
    const { signal } = new AbortController()
    const context = { signal, attempt: 1, done: () => undefined, postpone: () => undefined }
    await catchUp(bearing, silentLog, generation)(batch, context)
    expect(await swapWhenReady(bearing)).toMatchObject({ generation })
    const [letter] = await database.query<{ number: bigint }>(statement('select number from kit.dead_letters'))
    const parts = { database, workers: [], log: silentLog, signal }
    await createReplayer({ ...parts, consumers: bearing.letters }).replay(letter?.number ?? 0n)
    nowMs += tallyWindows.idleMs + 1
    await closeWindows(bearing, [{ topic: 'orders', partition: 0 }])
    expect((await windowsOf(bearing)).windows).toMatchObject([{ placed: 3 }])
  })

  test('takes no other with it: neither one whose consequence cannot be published, nor one whose key cannot be kept', async () => {
    const publishing = tallyStream(database, {
      changed: (_tx, _state, { at: { key } }) => {
        if (key === 'b') throw new Error('its fact is too large')
      },
    })
    await owner(publishing)([
      order('a', 0),
      order('b', 1),
      order('k'.repeat(600), 2),
      order('c\u0000', 3),
      order('d', 4),
    ])
    const states = await database.query<{ key: string }>(statement('select key from kit.stream_state order by key'))
    expect(states.map((row) => row.key)).toEqual(['a', 'd'])
    expect(await database.query(statement('select from kit.dead_letters'))).toHaveLength(3)
  })
})

test('the watermark does not go back when a replay ends: a partition that was idle still is', async () => {
  const [stream, placed] = [tallyStream(database), [order('a', 0), order('b', 1_000)]]
  await owner(stream)(placed)
  nowMs += tallyWindows.idleMs + 1
  await closeWindows(stream, [{ topic: 'orders', partition: 0 }])
  const before = await watermarkOf(database, stream, 1, new Date(nowMs))
  expect(before).toBe(nowMs - tallyWindows.idleMs - tallyWindows.latenessMs)
  const { generation } = await beginReplay(stream, { kind: 'beginning' })
  const batch = { topic: 'orders', partition: 0, records: incoming(placed), highWatermark: 2n }
  const { signal } = new AbortController()
  const context = { signal, attempt: 1, done: () => undefined, postpone: () => undefined }
  await catchUp(stream, silentLog, generation)(batch, context)
  expect(await swapWhenReady(stream)).toMatchObject({ generation })
  expect(await watermarkOf(database, stream, generation, new Date(nowMs))).toBe(before)
})

test('what is older than is kept is forgotten, with all that belongs to a generation that was replaced', async () => {
  const stream = tallyStream(database, { windows: { of: [orderEvents], ...tallyWindows, keepMs: 3_600_000 } })
  const apply = owner(stream)
  await apply([
    order('a', 0),
    order('b', 0),
    order('late', -70_000_000),
    order('b', 2 * 3_600_000),
    order('c', 2 * 3_600_000),
  ])
  await database.query(
    statement(`
    insert into kit.streams (stream, generation, state, began_at) values ('tally', 2, 'retired', now())`),
  )
  await database.query(
    statement(`
    insert into kit.stream_state (stream, generation, key, state, began_ms, touched_ms) values ('tally', 2, 'old', '{}', 0, 1e15)`),
  )
  await pruneStream(stream, new Date(base + 2 * 3_600_000))
  const left = await database.query<{ row: string }>(
    statement(`
    select generation || ' ' || key as row from kit.stream_state union all
    select 'window ' || starts_ms from kit.stream_windows where counter = '' union all
    select 'late ' || event_id from kit.stream_late order by 1`),
  )
  expect(left.map(({ row }) => row)).toEqual(['1 b', '1 c', `window ${base + 2 * 3_600_000}`])
})

test('a stream that was not declared to be replayable is not rebuilt', async () => {
  const fixed = service('tally', { owns: [postgres()], edges: [consumes(orderEvents, [OrderPlacedSchema])] })
  const [placed] = tallyStream(database).inputs.values()
  if (!placed) throw new Error('no input')
  const policy = { ...placed.policy, replayable: false }
  const stream = { ...tallyStream(database), node: fixed, inputs: new Map([['orders', { ...placed, policy }]]) }
  await expect(beginReplay(stream, { kind: 'beginning' })).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining('replayable: true'),
  })
})

/** True where it was killed. */
async function child(given: object): Promise<boolean> {
  const script = join(import.meta.dirname, 'stream-crash-fixture.ts')
  const started = spawn(process.execPath, [script, JSON.stringify(given)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { NODE_COMPILE_CACHE: compileCache },
  })
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    started.once('exit', (...ended) => resolve(ended))
  })
  if (signal === null && code !== 0) throw new Error(`The process failed with ${code}.`)
  return signal === 'SIGKILL'
}
