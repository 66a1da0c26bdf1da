/**
 * The event store, as aggregates use it: what an append costs, which is a transaction that waits for Postgres' disk, and what it costs to
 * know an aggregate, from all of its events or from a snapshot and the events after it.
 */
import { create } from '@bufbuild/protobuf'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { type Aggregate, decideAndAppend, load } from '#kit/store/aggregate.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { eventStore } from '#kit/store/event-store.ts'
import { migrate } from '#kit/store/migrations.ts'
import { startPostgres } from '#kit/store/postgres-fixture.ts'
import { type OrderPlaced, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { closedLoop, quantile } from '../load.ts'
import { type Line, latencyLines, print } from '../report.ts'

const writers = 32
const secondsARound = 3
const rounds = 3
const longEvents = 1_050
const everyEvents = 100
const loads = 200
const durability = 'batch 1; Postgres fsync'

const orders = service('orders', { owns: [postgres({ connectionsMax: writers })] })
const store = eventStore([OrderPlacedSchema])

const price = { currency: 'EUR', minorUnits: 749n }
const items = [1, 2, 3, 4, 5].map((number) => ({ productId: `p-${number}`, quantity: 1, unitPrice: price }))
const placed = (orderId: string) =>
  create(OrderPlacedSchema, { orderId, customerId: 'c-1', items, total: { currency: 'EUR', minorUnits: 3_745n } })

/** What is known of somebody who buys a lot. */
const total: Aggregate<{ readonly items: number }, OrderPlaced> = {
  initial: { items: 0 },
  evolve: (state, event) => ({ items: state.items + event.items.length }),
}
const kept: typeof total = {
  ...total,
  snapshots: {
    everyEvents,
    form: 1,
    write: (state) => Buffer.from(JSON.stringify(state)),
    read: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
  },
}

async function main(): Promise<void> {
  const server = await startPostgres()
  const database = openDatabase<object>(testApp(orders, { postgres: server.create('orders') }))
  try {
    await migrate(database)
    await appendFor(database, writers, 2)
    print('9 · Event sourcing: the event store alone', [
      ...(await appendLines(database)),
      ...(await loadLines(database)),
    ])
  } finally {
    await database.close()
    await server.stop()
  }
}

async function appendLines(database: Database<object>): Promise<Line[]> {
  const latenciesMs = { alone: [] as number[], together: [] as number[] }
  const rates = { alone: [] as number[], together: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, count] of [['alone', 1] as const, ['together', writers] as const]) {
      const { perSecond, tookMs } = await appendFor(database, count, secondsARound)
      rates[name].push(perSecond)
      latenciesMs[name].push(...tookMs)
    }
  }
  const note = `each to a stream of its own; ${durability}`
  const claimed = '10–100 ms'
  const rate = (what: string, measured: number): Line => ({ what, measured, unit: 'appends/s', claimed: 'high', note })
  return [
    ...latencyLines('append, 1 writer', latenciesMs.alone, { claimed, note }),
    rate('1 writer', quantile(rates.alone, 0.5)),
    ...latencyLines(`append, ${writers} writers`, latenciesMs.together, { claimed, note }),
    rate(`${writers} writers`, quantile(rates.together, 0.5)),
  ]
}

let streams = 0

async function appendFor(database: Database<object>, callers: number, seconds: number) {
  const tookMs: number[] = []
  const call = async () => {
    streams += 1
    const id = `o-${streams}`
    const beganMs = performance.now()
    await database.transaction((tx) => store.append(tx, id, 0, [placed(id)]))
    tookMs.push(performance.now() - beganMs)
  }
  const { calls, elapsedMs } = await closedLoop({ callers, seconds, call })
  return { perSecond: (calls * 1_000) / elapsedMs, tookMs }
}

async function loadLines(database: Database<object>): Promise<Line[]> {
  const long = 'a-long-stream'
  for (let count = 0; count < longEvents; count += 10) {
    const ten = Array.from({ length: 10 }, (_, index) => placed(`o-${count + index}`))
    await decideAndAppend(database, store, kept, long, () => ten)
  }
  await database.transaction((tx) => store.append(tx, 'an-order', 0, [placed('1'), placed('2'), placed('3')]))
  const tookMs = { short: [] as number[], events: [] as number[], snapshot: [] as number[] }
  const ways = [
    ['short', total, 'an-order'],
    ['events', total, long],
    ['snapshot', kept, long],
  ] as const
  // In turns, so that the machine's mood falls on all alike.
  for (let index = 0; index < loads; index += 1) {
    for (const [name, aggregate, stream] of ways) {
      const beganMs = performance.now()
      await load(database, store, aggregate, stream)
      tookMs[name].push(performance.now() - beganMs)
    }
  }
  const after = longEvents % everyEvents
  return [
    ...latencyLines('known from 3 events', tookMs.short),
    ...latencyLines(`known from ${longEvents} events`, tookMs.events),
    ...latencyLines(`known from a snapshot and ${after} events`, tookMs.snapshot),
    {
      what: 'all events / snapshot, p50',
      measured: quantile(tookMs.events, 0.5) / quantile(tookMs.snapshot, 0.5),
      unit: '×',
    },
  ]
}

await main()
