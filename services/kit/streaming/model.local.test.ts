/** Whatever happens to a stream, its outcome is that of one that reads its log once, in order, alone. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { testApp } from '../app/app-fixture.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { Fenced } from './batch.ts'
import { closeWindows } from './closing.ts'
import { beginReplay, cancelReplay, catchUp, passDeleted } from './rebuild.ts'
import { generationsOf, pairOf } from './state.ts'
import {
  emptyStream,
  incoming,
  order,
  ownerOf,
  type Placed,
  tally,
  tallyStream,
  tallyWindows,
} from './streaming-fixture.ts'
import { swapWhenReady } from './swap.ts'
import { isLate, windowStart } from './window.ts'

jest.setTimeout(120_000)

const partitions = [0, 1] as const
const begin = Date.parse('2026-11-21T12:00:00Z')
let server: PostgresFixture
let database: Database<object>
let nowMs = begin

beforeAll(async () => {
  server = await startPostgres()
  database = openDatabase(testApp(tally, { postgres: server.create('tally') }), { clock: () => new Date(nowMs) })
  await migrate(database)
}, 60_000)

afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const partition = fc.constantFrom(...partitions)
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      partition,
      owner: fc.nat({ max: 1 }),
      back: fc.nat({ max: 3 }),
      size: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('reread' as const),
      partition,
      back: fc.nat({ max: 2 }),
      size: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), idle: fc.subarray([...partitions]) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      from: fc.constantFrom('beginning', 'time', 'offset'),
      at: fc.nat({ max: 300_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), partition, keep: fc.nat({ max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('swap' as const, 'swap' as const, 'cancel' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
const event = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd'),
  afterMs: fc.nat({ max: 300_000 }),
  again: fc.boolean(),
})
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never
const log = fc.array(event, { minLength: 1, maxLength: 20 })

/** The events of a partition: their times go forward, with some that are late, and some were sent twice. */
function placedOf(partition: number, events: readonly Event[]): Placed[] {
  return events.flatMap(({ key, afterMs, again }, at) => {
    const roughMs = afterMs % 4 === 0 ? afterMs : at * 15_000 + (afterMs % 20_000)
    // No two events have the same time, so none the same id.
    const own = order(key, Math.floor(roughMs / 100) * 100 + at * 2 + partition)
    return again ? [own, own] : [own]
  })
}

/** What it must come to. */
function expectedOf(logs: readonly (readonly Placed[])[]) {
  const windows = new Map<number, number>()
  const late: string[] = []
  const keys = new Map<string, Set<string>>()
  for (const placed of logs) {
    let newestMs = 0
    const seen = new Set<string>()
    for (const { key, timeMs } of placed) {
      const id = `${key}@${timeMs}`
      if (seen.has(id)) continue
      seen.add(id)
      keys.set(key, (keys.get(key) ?? new Set()).add(id))
      const startsMs = windowStart(timeMs, tallyWindows.sizeMs)
      if (isLate(startsMs, newestMs, tallyWindows)) late.push(id)
      else windows.set(startsMs, (windows.get(startsMs) ?? 0) + 1)
      newestMs = Math.max(newestMs, timeMs)
    }
  }
  return {
    windows: [...windows].sort(([a], [b]) => a - b).map(([startsMs, count]) => `${startsMs} ${count}`),
    late: late.sort(),
    keys: [...keys].map(([key, ids]) => `${key} ${[...ids].sort().join(' ')}`).sort(),
    facts: [...keys.values()].flatMap((ids) => [...ids].map((id) => `${id}.tally`)).sort(),
  }
}

const active = `(select generation from kit.streams where state = 'active')`
const rowsOf = async (text: string) =>
  (await database.query<{ row: string }>(statement(text))).map(({ row }) => row).sort()
async function outcome() {
  const keys = await database.query<{ key: string; ids: string[] }>(
    statement(`select key, state->'ids' as ids from kit.stream_state where generation = ${active}`),
  )
  const sent = await rowsOf('select event_id as row from kit.outbox')
  return {
    windows: await rowsOf(
      `select starts_ms || ' ' || (counts->>'placed') as row from kit.stream_results where generation = ${active}`,
    ),
    late: await rowsOf(`select event_id as row from kit.stream_late where generation = ${active}`),
    keys: keys.map(({ key, ids }) => `${key} ${ids.join(' ')}`).sort(),
    facts: sent.filter((id) => id.endsWith('.tally')),
  }
}

function world(logs: readonly (readonly Placed[])[]) {
  const stream = tallyStream(database)
  const owners = [ownerOf(stream), ownerOf(stream)]
  const begins = [0, 0]
  const nextOf = async (of: 'active' | 'building', partition: number) => {
    const text = `select next_offset::int as next, at.generation from kit.stream_partitions as at
      join kit.streams as streams on streams.stream = at.stream and streams.generation = at.generation
      where streams.state = $1 and partition = $2`
    const [row] = await database.query<{ next: number; generation: number }>(statement(text), [of, partition])
    return row
  }
  const isBuilding = async () => pairOf(await generationsOf(database, 'tally')).building !== undefined
  async function apply(partition: number, owner: number, back: number, size: number) {
    const from = Math.max(begins[partition] ?? 0, ((await nextOf('active', partition))?.next ?? 0) - back)
    const placed = logs[partition]?.slice(from, from + back + size) ?? []
    if (placed.length === 0) return
    const batch = () => owners[owner]?.(placed, from, partition)
    await batch()?.catch((thrown: unknown) => {
      if (!(thrown instanceof Fenced)) throw thrown
      return batch()
    })
  }
  async function reread(partition: number, back: number, size: number) {
    const building = await nextOf('building', partition)
    if (!building) return
    const from = Math.max(begins[partition] ?? 0, building.next - back)
    const records = incoming(logs[partition]?.slice(from, from + back + size) ?? [], from)
    if (records.length === 0) return
    const context = {
      signal: new AbortController().signal,
      attempt: 1,
      done: () => undefined,
      postpone: () => undefined,
    }
    const batch = { topic: 'orders', partition, records, highWatermark: BigInt(logs[partition]?.length ?? 0) }
    await catchUp(stream, silentLog, building.generation)(batch, context)
  }
  async function pass() {
    const building = await nextOf('building', 0)
    const offsets = begins.map((offset, partition) => ({ topic: 'orders', partition, offset: BigInt(offset) }))
    if (building) await passDeleted(stream, building.generation, async () => offsets)
  }
  async function close(idle: readonly number[]) {
    nowMs += tallyWindows.idleMs + 1
    await closeWindows(
      stream,
      idle.map((partition) => ({ topic: 'orders', partition })),
    )
  }
  async function take(step: Step) {
    switch (step.kind) {
      case 'apply':
        return apply(step.partition, step.owner, step.back, step.size)
      case 'reread':
        return reread(step.partition, step.back, step.size)
      case 'close':
        return close(step.idle)
      case 'begin': {
        if (await isBuilding()) return
        const timeMs = order('', step.at).timeMs
        if (step.from === 'time') return void (await beginReplay(stream, { kind: 'time', timeMs }))
        if (step.from === 'beginning') return void (await beginReplay(stream, { kind: 'beginning' }))
        return void (await beginReplay(stream, { kind: 'offset', topic: 'orders', offset: BigInt(step.at % 20) }))
      }
      case 'delete': {
        const read = (await nextOf('active', step.partition))?.next ?? 0
        begins[step.partition] = Math.max(begins[step.partition] ?? 0, read - step.keep)
        return
      }
      case 'swap':
        await pass()
        return void (await swapWhenReady(stream))
      case 'cancel':
        return void (await cancelReplay(stream))
    }
  }
  return {
    take,
    async end() {
      for (const at of partitions) await apply(at, 0, 0, 1_000)
      for (const at of partitions) await reread(at, 0, 1_000)
      await pass()
      await swapWhenReady(stream)
      expect(await isBuilding()).toBe(false)
      await close(partitions)
    },
  }
}

// Of a key, what is deleted happened after what is left.
const [late, later] = [100, 0].map((afterMs) => ({ key: 'a', afterMs, again: false })) as [Event, Event]
const first = { kind: 'apply', partition: 0, owner: 0, back: 0, size: 1 } as const
const rebuilt = { kind: 'begin', from: 'beginning', at: 0 } as const
const gone = { kind: 'delete', partition: 0, keep: 0 } as const

test('batches, owners, replays from wherever, ends of them, and a log that is deleted behind them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(log, log), fc.array(step, { maxLength: 40 }), async (events, steps) => {
      nowMs = begin
      await emptyStream(database)
      const logs = events.map((of, partition) => placedOf(partition, of))
      const { take, end } = world(logs)
      for (const each of steps) await take(each)
      await end()
      expect(await outcome()).toEqual(expectedOf(logs))
    }),
    {
      numRuns: 12,
      examples: [
        [
          [[late, later], [later]],
          [first, rebuilt, gone],
        ],
      ],
    },
  )
})
