import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import { storableText } from './storable.ts'

/** What a message's claim found. */
export type Claim = {
  /** The ids that were seen for the first time; all others have had their effect. */
  readonly fresh: ReadonlySet<string>
  /** For each key with a dead letter: the event that it waits for. */
  readonly parked: ReadonlyMap<string, string>
}

/** The messages to claim: those of one consumer (a group or a queue), and of one topic where keys can be parked. */
export type Claimed = {
  readonly consumer: string
  readonly topic: string
  readonly ids: readonly string[]
  readonly keys: readonly string[]
}

type ClaimRow = { readonly id: string; readonly key: string | null }

// Somebody who claims the same id at the same time waits here for the other's transaction, and then finds it taken.
const insertFresh = statement(`
  with fresh as (
    insert into kit.inbox (consumer, event_id, outcome)
    select $1, id, $5 from unnest($2::text[]) as ids (id)
    on conflict do nothing
    returning event_id
  ), forgotten as (
    delete from kit.deliveries where consumer = $1 and event_id = any($2::text[])
  )
  select event_id as id, null as key from fresh
  union all
  select event_id, key from kit.parked_keys where consumer = $1 and topic = $3 and key = any($4::text[])`)

/**
 * Takes messages for this transaction: together with their effects they are remembered, or not at all. With it end the
 * attempts that were counted: should this one fail, they are counted still.
 */
export async function claim(
  tx: Pick<AnyTx, 'query'>,
  { consumer, topic, ids, keys }: Claimed,
  outcome: 'handled' | 'dead' = 'handled',
): Promise<Claim> {
  return read(await tx.query<ClaimRow>(insertFresh, [consumer, ids, topic, keys, outcome]))
}

const selectFresh = statement(`
  select id, null as key from unnest($2::text[]) as ids (id)
  where not exists (select from kit.inbox where consumer = $1 and event_id = id)
  union all
  select event_id, key from kit.parked_keys where consumer = $1 and topic = $3 and key = any($4::text[])`)

/** As `claim`, but takes nothing: whether it is worth to begin. */
export async function peek(database: AnyDatabase, { consumer, topic, ids, keys }: Claimed): Promise<Claim> {
  return read(await database.query<ClaimRow>(selectFresh, [consumer, ids, topic, keys]))
}

function read(rows: readonly ClaimRow[]): Claim {
  const fresh = new Set<string>()
  const parked = new Map<string, string>()
  for (const { id, key } of rows) {
    if (key === null) fresh.add(id)
    else parked.set(key, id)
  }
  return { fresh, parked }
}

const upsertOutcome = statement(`
  insert into kit.inbox as seen (consumer, event_id, outcome) values ($1, $2, 'handled')
  on conflict (consumer, event_id) do update set outcome = 'handled', at = clock_timestamp() where seen.outcome = 'dead'
  returning 1`)

/** Takes a dead letter for this transaction: false where the message has had its effect already. */
export async function reclaim(tx: AnyTx, consumer: string, eventId: string): Promise<boolean> {
  return (await tx.query(upsertOutcome, [consumer, eventId])).length > 0
}

const selectHandled = statement(`
  select from kit.inbox where consumer = $1 and event_id = $2 and outcome = 'handled'`)

/** Whether a message has had its effect. */
export async function isHandled(database: AnyDatabase, consumer: string, eventId: string): Promise<boolean> {
  return (await database.query(selectHandled, [consumer, eventId])).length > 0
}

// The row is locked also where it was there before: nobody may free the key while a letter of it is being written.
const insertParked = statement(`
  insert into kit.parked_keys as parked (consumer, topic, key, event_id) values ($1, $2, $3, $4)
  on conflict (consumer, topic, key) do update set at = parked.at`)

/**
 * From now on later messages of this key become dead letters, too, so that they do not overtake this one. Neither time nor a
 * restart ends this: the key is free again once every dead letter of it was replayed or discarded, see `unpark`.
 */
export async function park(tx: AnyTx, consumer: string, topic: string, key: string, eventId: string): Promise<void> {
  await tx.query(insertParked, [consumer, topic, key, eventId])
}

const lockParked = statement(`
  select from kit.parked_keys where consumer = $1 and topic = $2 and key = $3 for update`)

/** Whether a key is parked, and until this transaction ends it stays so. */
export async function holdParked(tx: AnyTx, consumer: string, topic: string, key: string): Promise<boolean> {
  return (await tx.query(lockParked, [consumer, topic, key])).length > 0
}

// A statement of its own: only what begins after the lock was had sees every letter of the key.
const deleteParked = statement(`
  delete from kit.parked_keys where consumer = $1 and topic = $2 and key = $3 and not exists (
    select from kit.dead_letters where consumer = $1 and destination = $2 and key = $3 and state = 'waiting')`)

/** Frees a key of which no dead letter waits any more, in the transaction that settled the last: later messages go on. */
export async function unpark(tx: AnyTx, consumer: string, topic: string, key: string): Promise<void> {
  if (await holdParked(tx, consumer, topic, key)) await tx.query(deleteParked, [consumer, topic, key])
}

const upsertAttempt = statement(`
  insert into kit.deliveries as earlier (consumer, event_id, attempts, reason) values ($1, $2, 1, $3)
  on conflict (consumer, event_id) do update
    set attempts = earlier.attempts + 1, reason = excluded.reason, at = clock_timestamp()
  returning attempts`)

/** Counts an attempt at a message durably, and answers how many there have been. */
export async function countAttempt(
  database: AnyDatabase,
  consumer: string,
  eventId: string,
  reason: string,
): Promise<number> {
  const told = storableText(reason).slice(0, 1_000)
  const rows = await database.query<{ attempts: number }>(upsertAttempt, [consumer, eventId, told])
  return rows[0]?.attempts ?? 1
}

const decrementAttempt = statement(`
  update kit.deliveries set attempts = attempts - 1 where consumer = $1 and event_id = $2 and attempts > 0`)

/** Takes back an attempt that `countAttempt` counted and that says nothing about the message. */
export async function giveAttemptBack(database: AnyDatabase, consumer: string, eventId: string): Promise<void> {
  await database.query(decrementAttempt, [consumer, eventId])
}

const deleteAttempts = statement('delete from kit.deliveries where consumer = $1 and event_id = $2')

/** Forgets the attempts at a message, in the transaction that decides its outcome. */
export async function forgetAttempts(tx: AnyTx, consumer: string, eventId: string): Promise<void> {
  await tx.query(deleteAttempts, [consumer, eventId])
}

// By now(), and in their order, so that it is the index that finds them: clock_timestamp() is another for every row, which
// takes a reading of them all.
const deleteOld = statement(`
  delete from kit.inbox where ctid = any(array(
    select ctid from kit.inbox where at < now() - $1::float * interval '1 ms' and outcome = 'handled'
    order by at limit 5000))
  returning 1`)
const pruneEveryMs = 60_000

/**
 * Forgets what was handled long ago, a few thousand rows at a time; what became a dead letter is never forgotten. `keepMs` must exceed the time for which a broker
 * may deliver a message again: a topic's retention.
 */
export function pruneInbox(database: AnyDatabase, keepMs: number, onError: (error: unknown) => void): () => void {
  const prune = async () => {
    let deleted: number
    do deleted = (await database.query(deleteOld, [keepMs])).length
    while (deleted > 0)
  }
  const timer = setInterval(() => void prune().catch(onError), pruneEveryMs)
  timer.unref()
  return () => clearInterval(timer)
}
