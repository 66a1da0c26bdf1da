import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { type Database, statement, type Tx } from './database.ts'
import { isPassing } from './errors.ts'
import type { EventStore, LoggedEvent, StoredEvent } from './event-store.ts'
import type { AnyProjection } from './projection.ts'
import { tableOf } from './projection-generations.ts'

/** What a batch needs to know. */
export type Batch<Tables, M> = {
  readonly database: Database<Tables>
  readonly store: EventStore<M>
  readonly projection: AnyProjection<Tables, M>
  readonly batchMax: number
  readonly log: Log
}

/** How a batch ended: whether more is waiting, and whether it was this process that applied it. */
export type Advanced = { readonly more: boolean; readonly by: 'us' | 'another' }

/**
 * Applies the next events to one generation, and moves it on, in one transaction. If one cannot be applied, the batch is
 * done again event by event, and that one is parked. Rejects only where the database cannot be had.
 */
export async function advance<Tables, M>(batch: Batch<Tables, M>, generation: number): Promise<Advanced> {
  try {
    return await applyNext(batch, generation, (tx, events) => applyAll(tx, batch, generation, events))
  } catch (thrown) {
    if (isPassing(thrown)) throw thrown
    return applyNext(batch, generation, async (tx, events) => {
      for (const event of events) await applyOrPark(tx, batch, generation, event)
    })
  }
}

async function applyNext<Tables, M>(
  { database, store, projection, batchMax }: Batch<Tables, M>,
  generation: number,
  applyThem: (tx: Tx<Tables>, events: readonly LoggedEvent<M>[]) => Promise<void>,
): Promise<Advanced> {
  return database.transaction(async (tx) => {
    const [held] = await tx.query<{ position: string }>(take, [projection.name, generation])
    if (!held) return { more: false, by: 'another' }
    const events = await store.readLog(tx, held.position, batchMax)
    const last = events.at(-1)
    if (last) {
      await applyThem(tx, events)
      tx.lastly(move, () => [projection.name, generation, last.position])
    }
    return { more: events.length === batchMax, by: 'us' }
  })
}

async function applyAll<Tables, M>(
  tx: Tx<Tables>,
  batch: Batch<Tables, M>,
  generation: number,
  events: readonly LoggedEvent<M>[],
): Promise<void> {
  const parked = await parkedOf(tx, batch, generation, events)
  const free = events.filter(({ streamId }) => !parked.has(streamId))
  if (free.length > 0) await applyTo(tx, batch.projection, generation, free)
  for (const event of events) {
    if (parked.has(event.streamId)) await park(tx, batch, generation, event, 'waits for an earlier event of its stream')
  }
}

async function applyOrPark<Tables, M>(
  tx: Tx<Tables>,
  batch: Batch<Tables, M>,
  generation: number,
  event: LoggedEvent<M>,
): Promise<void> {
  // What was parked a moment ago counts too, so it is asked for each event; this is the slow way, for one batch.
  const parked = await parkedOf(tx, batch, generation, [event])
  if (parked.size > 0) return park(tx, batch, generation, event, 'waits for an earlier event of its stream')
  const failure = await attempt(tx, batch.projection, generation, event)
  if (!failure) return
  await park(tx, batch, generation, event, failure.message)
  batch.log.error('A projection could not apply an event: it and its successors in the stream are parked.', {
    error: failure,
    projection: batch.projection.name,
    generation,
    streamId: event.streamId,
    version: event.version,
    type: event.type,
  })
}

/** Applies an event so that a failure leaves no trace; returns the failure. Rejects where the database cannot be had. */
export async function attempt<Tables, M>(
  tx: Tx<Tables>,
  projection: AnyProjection<Tables, M>,
  generation: number,
  event: StoredEvent<M>,
): Promise<ServiceError | undefined> {
  await tx.query(savepoint)
  try {
    await applyTo(tx, projection, generation, [event])
    await tx.query(release)
    return undefined
  } catch (thrown) {
    if (isPassing(thrown)) throw thrown
    await tx.query(rollBack)
    return ServiceError.from(thrown)
  }
}

function applyTo<Tables, M>(
  tx: Tx<Tables>,
  { name, apply }: AnyProjection<Tables, M>,
  generation: number,
  events: readonly StoredEvent<M>[],
): Promise<void> {
  // The table has the view's columns, which is all that its type says.
  return apply({ db: tx.db, table: tableOf(name, generation) as never }, events)
}

async function parkedOf<Tables, M>(
  tx: Tx<Tables>,
  { projection }: Batch<Tables, M>,
  generation: number,
  events: readonly LoggedEvent<M>[],
): Promise<ReadonlySet<string>> {
  const streams = [...new Set(events.map(({ streamId }) => streamId))]
  const rows = await tx.query<{ stream_id: string }>(selectParked, [projection.name, generation, streams])
  return new Set(rows.map((row) => row.stream_id))
}

async function park<Tables, M>(
  tx: Tx<Tables>,
  { projection }: Batch<Tables, M>,
  generation: number,
  { streamId, version, type }: LoggedEvent<M>,
  reason: string,
): Promise<void> {
  await tx.query(insertParked, [projection.name, generation, streamId, version, type, reason.slice(0, 1_000)])
}

// Nobody waits for the disk: a crash of the server takes the rows and the position together, and both follow from the events again.
const take = statement(`
  with unhurried as materialized (select set_config('synchronous_commit', 'off', true))
  select position from kit.projections, unhurried where name = $1 and generation = $2
  for update of projections skip locked`)
const move = statement('update kit.projections set position = $3 where name = $1 and generation = $2')
const selectParked = statement(`
  select distinct stream_id from kit.parked_events
  where projection = $1 and generation = $2 and stream_id = any($3::text[])`)
const insertParked = statement(`
  insert into kit.parked_events (projection, generation, stream_id, version, type, reason)
  values ($1, $2, $3, $4, $5, $6)`)
const savepoint = statement('savepoint event')
const release = statement('release savepoint event')
const rollBack = statement('rollback to savepoint event')
