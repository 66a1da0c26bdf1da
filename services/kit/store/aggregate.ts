import { setTimeout as sleep } from 'node:timers/promises'
import { type AnyTx, type Database, statement, type Tx } from './database.ts'
import { type EventStore, type Range, type Reader, type StoredEvent, StreamConflict } from './event-store.ts'
import { readSnapshot, type Snapshots, writeSnapshot } from './snapshot.ts'

/** An aggregate: a state that follows from its events, and decisions that follow from the state. Both are pure. */
export type Aggregate<S, M> = {
  readonly initial: S
  readonly evolve: (state: S, message: M) => S
  /** For aggregates whose streams grow long. Default: none, a stream is read from its beginning. */
  readonly snapshots?: Snapshots<S>
}

/** An aggregate as it is now. One that was never written to has version 0. */
export type Loaded<S> = { readonly state: S; readonly version: number }

/**
 * An aggregate's state: from its newest snapshot, where it has any, and the events after it. `asOf` asks what was known
 * then, which only the events can tell.
 */
export async function load<S, M>(
  from: Reader,
  store: EventStore<M>,
  aggregate: Aggregate<S, M>,
  streamId: string,
  { asOf }: Pick<Range, 'asOf'> = {},
): Promise<Loaded<S>> {
  const { initial, evolve, snapshots } = aggregate
  const known = snapshots && !asOf ? await readSnapshot(from, snapshots, streamId) : undefined
  const range = { ...(known && { afterVersion: known.version }), ...(asOf && { asOf }) }
  const { version, events } = await store.read(from, streamId, range)
  return { state: events.reduce((state, { message }) => evolve(state, message), known?.state ?? initial), version }
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
  const before = await load(tx, store, aggregate, streamId)
  const messages = decide(before.state)
  if (messages.length === 0) return { ...before, messages }
  const version = await store.append(tx, streamId, before.version, messages)
  const state = messages.reduce(aggregate.evolve, before.state)
  if (aggregate.snapshots) await writeSnapshot(tx, aggregate.snapshots, streamId, before.version, { state, version })
  return { state, version, messages }
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
        if (attempt > 1) await tx.query(lockStream, [streamId])
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

// Whoever lost once waits for its turn: of many that read, decide and write at the same time, all but one do it in vain.
const lockStream = statement(`select pg_advisory_xact_lock(hashtextextended('stream ' || $1, 0))`)
