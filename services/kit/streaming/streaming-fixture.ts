/** A service that counts orders in windows, for the tests of streams and for the processes that they kill. */
import { create, toBinary } from '@bufbuild/protobuf'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import type { IncomingRecord, OutgoingRecord } from '../kafka/port.ts'
import { encodeEnvelope } from '../messaging/envelope.ts'
import type { Transactions } from '../messaging/handling.ts'
import { publisher } from '../messaging/publisher.ts'
import { type AnyDatabase, statement } from '../store/database.ts'
import { silentLog } from '../telemetry/log.ts'
import { applyTo } from './batch.ts'
import { createStream } from './state.ts'
import { input, type Stream, type StreamSpec, stream } from './stream.ts'

export const orderEvents = topic('orders', { carries: [OrderPlacedSchema, OrderConfirmedSchema], key: 'orderId' })
/** What follows: an event for each change, and one for each closed window. */
export const facts = topic('facts', { carries: [OrderConfirmedSchema], key: 'orderId' })
export const tally = service('tally', {
  owns: [postgres()],
  publishes: [facts],
  edges: [
    consumes(orderEvents, [OrderPlacedSchema], {
      replayable: true,
      redelivery: { attempts: 3, backoff: { baseMs: 20, maxMs: 100 } },
    }),
  ],
})

type Seen = { readonly ids: readonly string[] }

/** Windows of a minute and ten seconds for late events. An order whose customer is `poison` throws. */
export const tallyWindows = { sizeMs: 60_000, latenessMs: 10_000, idleMs: 500 } as const

/** The stream under test. `factor` and `bears` stand for other versions of its reaction: what it counts, and what it can bear. */
export function tallyStream(
  database: Transactions,
  given: Partial<StreamSpec<Seen>> = {},
  { factor = 1n, bears = false }: { factor?: bigint; bears?: boolean } = {},
): Stream {
  const publish = publisher(tally, facts)
  return stream<Seen>(tally, database, {
    name: 'tally',
    inputs: [
      input(tally, orderEvents, {
        OrderPlaced: (seen: Seen | undefined, { customerId, total }, { id }) => {
          if (customerId === 'poison' && !bears) throw new Error('a customer that no reaction bears')
          if (customerId === 'unwritable') return { counts: { 'placed.\u0000': 1n } }
          return {
            state: { ids: [...new Set([...(seen?.ids ?? []), id])].sort() },
            counts: { placed: 1n, 'revenue.EUR': (total?.minorUnits ?? 0n) * factor },
          }
        },
      }),
    ],
    windows: { of: [orderEvents], ...tallyWindows },
    changed: (tx, _state, { at, id }) => void publish(tx, OrderConfirmedSchema, { orderId: at.key }, { id }),
    closed: (tx, { startsMs, id }) =>
      void publish(tx, OrderConfirmedSchema, { orderId: `window ${new Date(startsMs).toISOString()}` }, { id }),
    ...given,
  })
}

/** An order as it is placed: when, by whom, for how much. */
export type Placed = {
  readonly key: string
  readonly timeMs: number
  readonly minorUnits?: bigint
  readonly customerId?: string
}

/** A record as a producer sends it; its id follows from its contents. */
export function outgoing(
  { key, timeMs, minorUnits = 100n, customerId = 'c-1' }: Placed,
  partition?: number,
): OutgoingRecord {
  const order = { orderId: key, customerId, total: { currency: 'EUR', minorUnits } }
  const envelope = { id: `${key}@${timeMs}`, type: OrderPlacedSchema.typeName, source: '/services/orders' }
  return {
    topic: orderEvents.name,
    key,
    value: Buffer.from(toBinary(OrderPlacedSchema, create(OrderPlacedSchema, order))),
    headers: encodeEnvelope(
      { ...envelope, time: new Date(timeMs), subject: key, correlationId: 'c-1', dataVersion: '1' },
      'kafka',
    ),
    ...(partition === undefined ? {} : { partition }),
  }
}

/** Records of one partition as a broker hands them over, from an offset on. */
export function incoming(placed: readonly Placed[], from = 0): readonly IncomingRecord[] {
  return placed.map((each, at) => {
    const { key, value, headers } = outgoing(each)
    return { offset: BigInt(from + at), key, value, headers, timestampMs: Date.now() }
  })
}

const base = Date.parse('2026-11-21T10:00:00Z')

/** An order so long after ten o'clock. */
export const order = (key: string, afterMs: number, more: Partial<Placed> = {}): Placed => ({
  ...{ key, timeMs: base + afterMs },
  ...more,
})

/** Someone who owns a partition: each call is a batch of it. */
export function ownerOf(stream: Stream) {
  const { signal } = new AbortController()
  const handle = applyTo(stream, silentLog, 1)
  return async (placed: readonly Placed[], from = 0, partition = 0) => {
    const records = incoming(placed, from)
    const batch = { topic: 'orders', partition, records, highWatermark: BigInt(from + records.length) }
    await handle(batch, { signal, attempt: 1, done: () => undefined, postpone: () => undefined })
  }
}

/** Forgets everything, as before the first event. */
export async function emptyStream(database: AnyDatabase): Promise<void> {
  const tables = ['streams', 'stream_partitions', 'stream_state', 'stream_windows', 'stream_results', 'stream_late']
  await database.query(
    statement(`truncate kit.outbox, kit.dead_letters, kit.inbox, ${tables.map((name) => `kit.${name}`)}`),
  )
  await createStream(database, 'tally')
}

/** The windows of the active generation, byte by byte, with what else must be the same whatever happens. */
export async function outcomeOf(database: AnyDatabase): Promise<string> {
  const rows = await Promise.all(outcomes.map((each) => database.query<{ row: string }>(each)))
  return rows.map((of) => of.map(({ row }) => row).join('\n')).join('\n--\n')
}

const active = `(select generation from kit.streams where stream = 'tally' and state = 'active')`
const outcomes = [
  `select starts_ms || ' ' || counts::text as row from kit.stream_results where generation = ${active} order by starts_ms`,
  `select starts_ms || ' ' || counter || ' ' || sum(amount)::text as row from kit.stream_windows
   where generation = ${active} group by starts_ms, counter order by 1`,
  `select event_id || ' ' || starts_ms || ' ' || counts::text as row from kit.stream_late
   where generation = ${active} order by event_id`,
  `select key || ' ' || state::text || ' ' || began_ms || ' ' || touched_ms as row from kit.stream_state
   where generation = ${active} order by key`,
].map(statement)
