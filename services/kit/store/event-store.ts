import { setTimeout as sleep } from 'node:timers/promises'
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { correlationId } from '../context.ts'
import { ServiceError } from '../errors.ts'
import { injectTrace } from '../telemetry/telemetry.ts'
import { type AnyDatabase, type AnyTx, type Database, statement, type Tx } from './database.ts'
import { violates } from './errors.ts'

/** An event as the store holds it. `message.$typeName` tells which it is. */
export type StoredEvent<M> = {
  readonly streamId: string
  /** From 1, without a gap. */
  readonly version: number
  readonly message: M
  readonly at: Date
  readonly correlationId: string
}

/** A stream as it is now. A stream that was never written to has version 0 and no events. */
export type Stream<M> = { readonly version: number; readonly events: readonly StoredEvent<M>[] }

/** A place in the log of all streams; store it as it is, and begin with `logStart`. */
export type LogPosition = string
/** Before the first event. */
export const logStart: LogPosition = '0:0'

/** Somebody else wrote to the stream first. Read again and decide anew, as `decideAndAppend` does. */
export class StreamConflict extends ServiceError {
  constructor(streamId: string, expectedVersion: number) {
    super('conflict', `Stream ${streamId} is no longer at version ${expectedVersion}.`)
  }
}

/** Whoever can run a statement: a transaction or a database. */
type Reader = Pick<AnyDatabase | AnyTx, 'query'>

/** The streams of one kind of aggregate. */
export type EventStore<M> = {
  /**
   * Appends to a stream that is at `expectedVersion` (0 for a new one), and answers its new version. The transaction
   * cannot go on after a conflict.
   * @throws StreamConflict when the stream is at another version
   */
  append(tx: AnyTx, streamId: string, expectedVersion: number, messages: readonly M[]): Promise<number>
  read(from: Reader, streamId: string): Promise<Stream<M>>
  /**
   * The next events of all streams after a position, at most `limit`, in an order that no later commit changes: events
   * of transactions that may still be overtaken are left for the next read.
   */
  readLog(
    from: Reader,
    after: LogPosition,
    limit: number,
  ): Promise<readonly (StoredEvent<M> & { position: LogPosition })[]>
}

/** Opens the streams that hold these events. An event of another type in them is an error: add its descriptor. */
export function eventStore<const D extends DescMessage>(descriptors: readonly D[]): EventStore<MessageShape<D>> {
  type M = MessageShape<D>
  const byType = new Map(descriptors.map((descriptor) => [descriptor.typeName, descriptor]))
  const descriptorOf = (type: string) => {
    const found = byType.get(type)
    if (!found) throw new Error(`The event store does not know ${type}: add its descriptor to eventStore([…]).`)
    return found
  }
  const stored = (row: EventRow): StoredEvent<M> => ({
    streamId: row.stream_id,
    version: row.version,
    message: fromBinary<D>(descriptorOf(row.type), row.payload),
    at: row.recorded_at,
    correlationId: row.correlation_id,
  })
  return {
    async append(tx, streamId, expectedVersion, messages) {
      const types = messages.map((message) => message.$typeName)
      const payloads = messages.map((message) => Buffer.from(toBinary(descriptorOf(message.$typeName), message)))
      await insert(tx, streamId, expectedVersion, types, payloads)
      return expectedVersion + messages.length
    },
    async read(from, streamId) {
      const rows = await from.query<EventRow>(selectStream, [streamId])
      return { version: rows.at(-1)?.version ?? 0, events: rows.map(stored) }
    },
    async readLog(from, after, limit) {
      const rows = await from.query<EventRow & LogRow>(selectLog, [...after.split(':'), limit])
      return rows.map((row) => ({ ...stored(row), position: `${row.transaction_id}:${row.position}` }))
    },
  }
}

type EventRow = {
  readonly stream_id: string
  readonly version: number
  readonly type: string
  readonly payload: Buffer
  readonly correlation_id: string
  readonly recorded_at: Date
}
type LogRow = { readonly position: bigint; readonly transaction_id: string }

const selectStream = statement(`
  select stream_id, version, type, payload, correlation_id, recorded_at
  from kit.events where stream_id = $1 order by version`)

// Positions are drawn before the commit, so a higher one may become visible first. Transactions below the oldest one
// that still runs cannot gain rows any more; ordered by transaction, nothing can come to lie before what was read.
const selectLog = statement(`
  select stream_id, version, type, payload, correlation_id, recorded_at, position, transaction_id::text
  from kit.events
  where (transaction_id, position) > ($1::text::xid8, $2::bigint)
    and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
  order by transaction_id, position
  limit $3`)

// The unique constraint refuses whoever comes second; the comparison refuses a version that the stream has not reached.
const insertEvents = statement(`
  insert into kit.events (stream_id, version, type, payload, correlation_id, traceparent, recorded_at)
  select $1, $2::integer + number, type, payload, $5, $6, $7
  from unnest($3::text[], $4::bytea[]) with ordinality as events (type, payload, number)
  where (select coalesce(max(version), 0) from kit.events where stream_id = $1) = $2::integer
  order by number
  returning version`)

async function insert(
  tx: AnyTx,
  streamId: string,
  expectedVersion: number,
  types: readonly string[],
  payloads: readonly Buffer[],
): Promise<void> {
  const traceparent = injectTrace({}).traceparent ?? null
  const values = [streamId, expectedVersion, types, payloads, correlationId(), traceparent, tx.at]
  const rows = await tx.query(insertEvents, values).catch((thrown: unknown) => {
    throw violates(thrown, 'events_stream_version') ? new StreamConflict(streamId, expectedVersion) : thrown
  })
  if (rows.length !== types.length) throw new StreamConflict(streamId, expectedVersion)
}

/** An aggregate: a state that follows from its events, and decisions that follow from the state. Both are pure. */
export type Aggregate<S, M> = {
  readonly initial: S
  readonly evolve: (state: S, message: M) => S
}

/** What came of a decision. */
export type Decided<S, M> = { readonly state: S; readonly version: number; readonly messages: readonly M[] }

/** Folds a stream's events into the aggregate's state. */
export function fold<S, M>({ initial, evolve }: Aggregate<S, M>, events: readonly StoredEvent<M>[]): S {
  return events.reduce((state, event) => evolve(state, event.message), initial)
}

/**
 * Reads a stream, decides, and appends what was decided, within a transaction: what a consumer's handler calls. A
 * decision without events writes nothing.
 * @throws StreamConflict when somebody else wrote in between; the message is then handled again
 */
export async function decideIn<S, M>(
  tx: AnyTx,
  store: EventStore<M>,
  aggregate: Aggregate<S, M>,
  streamId: string,
  decide: (state: S) => readonly M[],
): Promise<Decided<S, M>> {
  const stream = await store.read(tx, streamId)
  const before = fold(aggregate, stream.events)
  const messages = decide(before)
  if (messages.length === 0) return { state: before, version: stream.version, messages }
  const version = await store.append(tx, streamId, stream.version, messages)
  return { state: messages.reduce(aggregate.evolve, before), version, messages }
}

/**
 * `decideIn` in a transaction of its own, repeated with the new state when somebody else wrote in between. `then` runs in the
 * same transaction, such as to publish what was decided. Default 5 attempts.
 * @throws StreamConflict when every attempt met a conflict
 */
export async function decideAndAppend<S, M, Tables>(
  database: Database<Tables>,
  store: EventStore<M>,
  aggregate: Aggregate<S, M>,
  streamId: string,
  decide: (state: S) => readonly M[],
  then: (tx: Tx<Tables>, decided: Decided<S, M>) => Promise<void> | void = () => undefined,
  { attempts = 5 }: { readonly attempts?: number } = {},
): Promise<Decided<S, M>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction(async (tx) => {
        const decided = await decideIn(tx, store, aggregate, streamId, decide)
        await then(tx, decided)
        return decided
      })
    } catch (thrown) {
      if (!(thrown instanceof StreamConflict) || attempt >= attempts) throw thrown
      await sleep(Math.random() * Math.min(50, 2 ** attempt))
    }
  }
}
