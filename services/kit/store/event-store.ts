import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { correlationId } from '../context.ts'
import { ServiceError } from '../errors.ts'
import { injectTrace } from '../telemetry/telemetry.ts'
import { type AnyDatabase, type AnyTx, statement } from './database.ts'
import { violates } from './errors.ts'

/** An event as the store holds it. `message.$typeName` tells which it is. */
export type StoredEvent<M> = {
  readonly streamId: string
  /** From 1, without a gap. */
  readonly version: number
  /** Its full name as it was written; `message` may be of a newer type. */
  readonly type: string
  /** Read when it is asked for. @throws UnknownEvent */
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

/** The log holds an event that this code does not know: written by a newer version, or its descriptor was forgotten. */
export class UnknownEvent extends ServiceError {
  constructor(type: string) {
    super('internal', `The event store does not know ${type}: add its descriptor or an upcast to eventStore(…).`)
  }
}

/** Told in this process when events were committed; see `onSignal`. */
export const eventsSignal = 'kit.events'

/** Whoever can run a statement: a transaction or a database. */
export type Reader = Pick<AnyDatabase | AnyTx, 'query'>

/** The streams of one kind of aggregate. */
export type EventStore<M> = {
  /**
   * Appends to a stream that is at `expectedVersion` (0 for a new one), and answers its new version. The transaction
   * cannot go on after a conflict.
   * @throws StreamConflict when the stream is at another version
   */
  append(tx: AnyTx, streamId: string, expectedVersion: number, messages: readonly M[]): Promise<number>
  /** A stream's events, oldest first. `version` is that of the last one read, or the one they were to come after. */
  read(from: Reader, streamId: string, range?: Range): Promise<Stream<M>>
  /**
   * The next events after a position, of all streams or of one, at most `limit`, in an order that no later commit
   * changes: events of transactions that may still be overtaken are left for the next read.
   */
  readLog(from: Reader, after: LogPosition, limit: number, streamId?: string): Promise<readonly LoggedEvent<M>[]>
}

/** A part of a stream. */
export type Range = {
  /** Only what came after this version. Default: 0, all. */
  readonly afterVersion?: number
  /** Only what was recorded by then: what was known at that time. */
  readonly asOf?: Date
}

/** An event with its place in the log. */
export type LoggedEvent<M> = StoredEvent<M> & { readonly position: LogPosition }

/** How events of a type that is no longer written are read: as what would be written today. Pure. */
export type Upcast<M> = { readonly from: DescMessage; readonly upcast: (bytes: Uint8Array) => M }

/** Reads an old event as today's. The old type is only read, never written. */
export function upcast<D extends DescMessage, M>(from: D, turn: (old: MessageShape<D>) => M): Upcast<M> {
  return { from, upcast: (bytes) => turn(fromBinary(from, bytes)) }
}

/** What a log position looks like: what came from outside must be tested against it. */
export const logPositionPattern = /^\d{1,19}:\d{1,18}$/

/** Opens the streams that hold these events, and older ones by their upcasts. Any other type in them is an `UnknownEvent`. */
export function eventStore<const D extends DescMessage>(
  descriptors: readonly D[],
  upcasts: readonly Upcast<MessageShape<D>>[] = [],
): EventStore<MessageShape<D>> {
  type M = MessageShape<D>
  const byType = new Map(descriptors.map((descriptor) => [descriptor.typeName, descriptor]))
  const old = new Map(upcasts.map(({ from, upcast }) => [from.typeName, upcast]))
  const descriptorOf = (type: string) => {
    const found = byType.get(type)
    if (!found) throw new UnknownEvent(type)
    return found
  }
  const messageOf = ({ type, payload }: EventRow): M =>
    old.get(type)?.(payload) ?? fromBinary<D>(descriptorOf(type), payload)
  const stored = (row: EventRow): StoredEvent<M> => {
    let message: M | undefined
    return {
      streamId: row.stream_id,
      version: row.version,
      type: row.type,
      // One event that cannot be read must not keep others from being.
      get message() {
        message ??= messageOf(row)
        return message
      },
      at: row.recorded_at,
      correlationId: row.correlation_id,
    }
  }
  return {
    async append(tx, streamId, expectedVersion, messages) {
      const types = messages.map((message) => message.$typeName)
      const payloads = messages.map((message) => Buffer.from(toBinary(descriptorOf(message.$typeName), message)))
      await insert(tx, streamId, expectedVersion, types, payloads)
      return expectedVersion + messages.length
    },
    async read(from, streamId, { afterVersion = 0, asOf } = {}) {
      const rows = await from.query<EventRow>(selectStream, [streamId, afterVersion, asOf ?? 'infinity'])
      return { version: rows.at(-1)?.version ?? afterVersion, events: rows.map(stored) }
    },
    async readLog(from, after, limit, streamId) {
      const [select, more] = streamId === undefined ? [selectLog, []] : [selectLogOfStream, [streamId]]
      const rows = await from.query<EventRow & LogRow>(select, [...after.split(':'), limit, ...more])
      return rows.map((row) => Object.assign(stored(row), { position: `${row.transaction_id}:${row.position}` }))
    },
  }
}

/** Before which place in the log everything is told that ever will be: where one begins who wants only what is new. */
export async function logEnd(from: Reader): Promise<LogPosition> {
  const [row] = await from.query<LogRow>(selectEnd)
  return row ? `${row.transaction_id}:${row.position}` : logStart
}

/** The place of the newest event that is committed, of all streams or of one; some before it may not be told yet. */
export async function logNewest(from: Reader, streamId?: string): Promise<LogPosition> {
  const [select, values] = streamId === undefined ? [selectNewest, []] : [selectNewestOfStream, [streamId]]
  const [row] = await from.query<LogRow>(select, values)
  return row ? `${row.transaction_id}:${row.position}` : logStart
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
  from kit.events where stream_id = $1 and version > $2 and recorded_at <= $3 order by version`)

// Positions are drawn before the commit, so a higher one may become visible first. Transactions below the oldest one
// that still runs cannot gain rows any more; ordered by transaction, nothing can come to lie before what was read.
const inCommitOrder = (condition: string) =>
  statement(`
  select stream_id, version, type, payload, correlation_id, recorded_at, position, transaction_id::text
  from kit.events
  where (transaction_id, position) > ($1::text::xid8, $2::bigint)
    and transaction_id < pg_snapshot_xmin(pg_current_snapshot()) ${condition}
  order by events.transaction_id, events.position
  limit $3`)
const selectLog = inCommitOrder('')
const selectLogOfStream = inCommitOrder('and stream_id = $4')
const newest = (condition: string) =>
  statement(`
  select position, transaction_id::text from kit.events ${condition}
  order by events.transaction_id desc, events.position desc limit 1`)
const selectNewest = newest('')
const selectNewestOfStream = newest('where stream_id = $1')
const selectEnd = newest('where transaction_id < pg_snapshot_xmin(pg_current_snapshot())')

// The unique constraint refuses whoever comes second; the comparison refuses a version that the stream has not reached.
// Neither time nor place in the log runs back within a stream: clocks of replicas differ, and a transaction that began
// before its predecessor's has the lower number. A higher one is as safe, for readers wait for all that are below it.
const insertEvents = statement(`
  insert into kit.events
    (transaction_id, stream_id, version, type, payload, correlation_id, traceparent, recorded_at)
  select greatest(pg_current_xact_id(), last.transaction_id), $1, $2::integer + number, events.type, events.payload, $5, $6,
    greatest($7::timestamptz, last.recorded_at)
  from unnest($3::text[], $4::bytea[]) with ordinality as events (type, payload, number)
  left join kit.events as last on last.stream_id = $1 and last.version = $2::integer
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
  tx.afterCommit(() => tx.database.signal(eventsSignal))
}
