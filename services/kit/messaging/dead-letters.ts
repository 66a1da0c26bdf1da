import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import type { DeadLetterReason } from './dead-letter.ts'
import { storableText as text } from './storable.ts'
import { workHeader } from './task-message.ts'

/** A message that could not be handled, whole, with the reason. */
export type NewDeadLetter = {
  readonly kind: 'topic' | 'queue'
  /** As in the inbox: the group, or `queue <name>`. */
  readonly consumer: string
  readonly destination: string
  /** Of a task that says what it is for: that. */
  readonly eventId: string
  /** Empty where nothing waits behind it. */
  readonly key: string
  readonly place: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Buffer
  readonly reason: DeadLetterReason
}

/** Where a dead letter is: it waits for a decision, or one was taken. */
export type DeadLetterState = 'waiting' | 'replayed' | 'discarded'

/** A dead letter as it lies in the table. */
export type DeadLetterRow = Omit<NewDeadLetter, 'reason' | 'payload'> & {
  readonly number: bigint
  readonly code: string
  readonly reason: string
  readonly exception: string
  readonly attempts: number
  readonly diedAt: Date
  readonly state: DeadLetterState
  readonly replays: number
  /** Why it was discarded. */
  readonly note: string
  readonly settledAt: Date | null
  readonly payloadBytes: number
}

// One that died before and dies again, because it was sent again, waits again: better seen twice than lost. What died for the same
// work under another id takes the place of the one before, and its attempts are added to those.
const upsert = statement(`
  insert into kit.dead_letters as earlier
    (consumer, event_id, kind, destination, key, place, headers, payload, code, reason, exception, attempts)
  select $1, $2, $3, $4, $5, $6, $7::json, $8, $9, $10, $11, $12
  where not exists (select from kit.inbox where consumer = $1 and event_id = $13 and outcome = 'handled')
  on conflict (consumer, event_id) do update set
    headers = excluded.headers, payload = excluded.payload, place = excluded.place, code = excluded.code,
    reason = excluded.reason, exception = excluded.exception, attempts = excluded.attempts +
      case when earlier.state = 'waiting' and $2 <> $13 then earlier.attempts else 0 end,
    died_at = excluded.died_at,
    state = 'waiting', note = '', settled_at = null
  returning number`)

const reasonLengthMax = 1_000

/** Keeps a dead letter; false where the message has had its effect meanwhile, so that there is nothing to keep. */
export async function keepDeadLetter(tx: AnyTx, letter: NewDeadLetter): Promise<boolean> {
  const { consumer, eventId, kind, destination, key, place, headers, payload, reason } = letter
  const { code, message, exception, attempts } = reason
  const messageId = headers[workHeader] === eventId ? (headers['cloudEvents:id'] ?? eventId) : eventId
  const rows = await tx.query(upsert, [
    ...[consumer, text(eventId), kind, destination, key, place, JSON.stringify(headers), payload],
    ...[code, text(message).slice(0, reasonLengthMax), text(exception), attempts, text(messageId)],
  ])
  return rows.length > 0
}

const columns = `number, consumer, event_id as "eventId", kind, destination, key, place, headers, code, reason, exception,
  attempts, died_at as "diedAt", state, replays, note, settled_at as "settledAt", octet_length(payload) as "payloadBytes"`

const selectMany = statement(`
  select ${columns} from kit.dead_letters
  where ($1::text is null or state = $1) and ($2::text is null or destination = $2) and number > $3
  order by number limit $4`)

/** Which dead letters are asked for; `state` null means whatever became of them. */
export type DeadLetterQuery = {
  readonly state: DeadLetterState | null
  readonly destination: string | null
  readonly after: bigint
  readonly limit: number
}

/** The dead letters in the order in which they died. */
export function listDeadLetters(database: AnyDatabase, query: DeadLetterQuery): Promise<DeadLetterRow[]> {
  return database.query(selectMany, [query.state, query.destination, query.after, query.limit])
}

const countWaiting = statement(`
  select destination, count(*)::int as count, min(died_at) as oldest
  from kit.dead_letters where state = 'waiting' group by destination order by destination`)

/** How many wait for a decision, of each topic and queue with any. */
export function countDeadLetters(
  database: AnyDatabase,
): Promise<{ readonly destination: string; readonly count: number; readonly oldest: Date }[]> {
  return database.query(countWaiting)
}

const selectOne = statement(`select ${columns}, payload from kit.dead_letters where number = $1`)

/** One dead letter with its payload; undefined where there is none of this number. */
export async function findDeadLetter(
  database: AnyDatabase,
  number: bigint,
): Promise<(DeadLetterRow & { readonly payload: Buffer }) | undefined> {
  const [row] = await database.query<DeadLetterRow & { readonly payload: Buffer }>(selectOne, [number])
  return row
}

// The first of its key alone: the others must not overtake it.
const earlierOfKey = `
  select from kit.dead_letters as earlier
  where letter.key <> '' and earlier.consumer = letter.consumer and earlier.destination = letter.destination
    and earlier.key = letter.key and earlier.state = 'waiting' and earlier.number < letter.number`

const selectHeads = statement(`
  select number from kit.dead_letters as letter
  where state = 'waiting' and died_at < timestamptz 'epoch' + $1::float * interval '1 us'
    and (replayed_until is null or replayed_until < timestamptz 'epoch' + $1::float * interval '1 us')
    and ($2::text is null or destination = $2) and not exists (${earlierOfKey})
  order by number limit $3`)

/**
 * The waiting letters that are the first of their key, in their order: of those that had died by this moment, in microseconds since
 * 1970, the ones that nobody has tried since.
 */
export async function listHeads(
  database: AnyDatabase,
  { since, destination, limit }: { since: bigint; destination: string | null; limit: number },
): Promise<bigint[]> {
  const rows = await database.query<{ number: bigint }>(selectHeads, [since, destination, limit])
  return rows.map(({ number }) => number)
}

const selectNow = statement('select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now')

/** The moment by the clock that dates the letters, as `listHeads` takes it. */
export async function readClock(database: AnyDatabase): Promise<bigint> {
  const [row] = await database.query<{ now: bigint }>(selectNow)
  return row?.now ?? 0n
}

const selectNext = statement(`
  select number, code from kit.dead_letters
  where consumer = $1 and destination = $2 and key = $3 and state = 'waiting' order by number limit 1`)

/** The letter of a key that waits first. */
export async function firstOfKey(
  database: AnyDatabase,
  { consumer, destination, key }: Pick<DeadLetterRow, 'consumer' | 'destination' | 'key'>,
): Promise<{ readonly number: bigint; readonly code: string } | undefined> {
  if (key === '') return undefined
  const [row] = await database.query<{ number: bigint; code: string }>(selectNext, [consumer, destination, key])
  return row
}

/** A replay that was begun: only while it is the newest of its letter may it settle it. */
export type Lease = { readonly number: bigint; readonly replay: number }

const takeLease = statement(`
  update kit.dead_letters as letter
  set replays = replays + 1, replayed_until = clock_timestamp() + $2::float * interval '1 ms'
  where number = $1 and state = 'waiting' and (replayed_until is null or replayed_until < clock_timestamp())
    and not exists (${earlierOfKey})
  returning replays as replay`)

/** Takes a letter for a replay, for so long; undefined where another has it, it is settled, or it is not the first of its key. */
export async function leaseDeadLetter(
  database: AnyDatabase,
  number: bigint,
  leaseMs: number,
): Promise<Lease | undefined> {
  const [row] = await database.query<{ replay: number }>(takeLease, [number, leaseMs])
  return row && { number, replay: row.replay }
}

const settleLeased = statement(`
  update kit.dead_letters set state = 'replayed', settled_at = clock_timestamp(), replayed_until = null
  where number = $1 and replays = $2 and state = 'waiting' returning 1`)

/** Settles a replayed letter, in the transaction of its effect. False where this replay is not the newest. */
export async function settleReplayed(tx: AnyTx, { number, replay }: Lease): Promise<boolean> {
  return (await tx.query(settleLeased, [number, replay])).length > 0
}

const giveBack = statement(`
  update kit.dead_letters
  set replayed_until = clock_timestamp(), code = coalesce($3, code), reason = coalesce($4, reason),
    exception = coalesce($5, exception), attempts = coalesce($6, attempts)
  where number = $1 and replays = $2 and state = 'waiting'`)

/** Gives a letter back that was not handled this time either; with the new reason where the message is the reason. */
export async function returnDeadLetter(
  database: AnyDatabase,
  { number, replay }: Lease,
  reason: DeadLetterReason | null,
): Promise<void> {
  const told = reason
    ? [reason.code, text(reason.message).slice(0, reasonLengthMax), text(reason.exception), reason.attempts]
    : [null, null, null, null]
  await database.query(giveBack, [number, replay, ...told])
}

const settleDiscarded = statement(`
  update kit.dead_letters set state = 'discarded', note = $2, settled_at = clock_timestamp()
  where number = $1 and state = 'waiting' and (replayed_until is null or replayed_until < clock_timestamp())
  returning consumer, destination, key, event_id as "eventId"`)

/** Discards a letter that nobody is replaying; undefined where it cannot be. */
export async function settleDiscard(
  tx: AnyTx,
  number: bigint,
  note: string,
): Promise<Pick<DeadLetterRow, 'consumer' | 'destination' | 'key' | 'eventId'> | undefined> {
  const [row] = await tx.query<Pick<DeadLetterRow, 'consumer' | 'destination' | 'key' | 'eventId'>>(settleDiscarded, [
    number,
    text(note),
  ])
  return row
}

const deleteSettled = statement(`
  delete from kit.dead_letters where number = any(array(
    select number from kit.dead_letters
    where state <> 'waiting' and settled_at < now() - $1::float * interval '1 ms' order by settled_at limit 1000))
  returning 1`)

/** Forgets what was settled so long ago, a thousand at a time. What waits is never forgotten. */
export async function pruneDeadLetters(database: AnyDatabase, keepMs: number): Promise<void> {
  let deleted: number
  do deleted = (await database.query(deleteSettled, [keepMs])).length
  while (deleted > 0)
}
