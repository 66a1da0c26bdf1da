/** The rows of a stream, and nothing else: which statement is asked when is said elsewhere. */
import { type AnyDatabase, type AnyTx, statement } from '../store/database.ts'
import type { Folded, Held } from './fold.ts'

/** One filling of a stream's state. */
export type Generation = {
  readonly generation: number
  readonly state: 'active' | 'building'
  readonly fromMs: number | null
}

/** A partition, as a stream knows it. */
export type Place = { readonly stream: string; readonly topic: string; readonly partition: number }

/** How far a generation is in a partition. */
export type Standing = {
  readonly generation: number
  readonly nextOffset: bigint
  readonly epoch: bigint
  readonly newestMs: number
  readonly joined: boolean
}

const insertFirst = statement(`
  insert into kit.streams (stream, generation, state, began_at) values ($1, 1, 'active', clock_timestamp()) on conflict do nothing`)
const selectGenerations = statement(`
  select generation, state, from_ms::float as "fromMs" from kit.streams
  where stream = $1 and state <> 'retired' order by generation`)
const holdGenerations = statement(`
  select from kit.streams where stream = $1 and state <> 'retired' order by generation for share`)
const lockGenerations = statement(`
  select from kit.streams where stream = $1 and state <> 'retired' order by generation for update`)

/** Makes the first generation, where there is none. */
export async function createStream(database: AnyDatabase, stream: string): Promise<void> {
  await database.query(insertFirst, [stream])
}

/** The active generation, and the one that is being built, if any. */
export async function generationsOf(
  from: Pick<AnyDatabase | AnyTx, 'query'>,
  stream: string,
  lock: 'none' | 'share' | 'update' = 'none',
): Promise<Generation[]> {
  // The statement that waits for a lock does not see what was begun meanwhile: one after it does.
  if (lock !== 'none') await from.query(lock === 'share' ? holdGenerations : lockGenerations, [stream])
  return from.query<Generation>(selectGenerations, [stream])
}

/** The generation that is read, and the one that a replay builds. */
export function pairOf(generations: readonly Generation[]): {
  readonly active: Generation | undefined
  readonly building: Generation | undefined
} {
  const [active, building] = (['active', 'building'] as const).map((wanted) =>
    generations.find(({ state }) => state === wanted),
  )
  return { active, building }
}

const standingColumns = `generation, next_offset as "nextOffset", epoch, newest_ms::float as "newestMs", joined`
const lockStanding = statement(`
  select ${standingColumns} from kit.stream_partitions
  where stream = $1 and topic = $2 and partition = $3 and generation = $4 for update`)

/** Locks a generation's row of a partition; undefined where it has none. */
export async function lockPartition(tx: AnyTx, place: Place, generation: number): Promise<Standing | undefined> {
  const [row] = await tx.query<Standing>(lockStanding, [place.stream, place.topic, place.partition, generation])
  return row
}

const selectNext = statement(`
  select next_offset as "nextOffset" from kit.stream_partitions
  where stream = $1 and topic = $2 and partition = $3 and generation = $4`)

/** How far a generation is in a partition, without a lock. */
export async function nextOffsetOf(tx: AnyTx, place: Place, generation: number): Promise<bigint | undefined> {
  const [row] = await tx.query<{ nextOffset: bigint }>(selectNext, [
    ...[place.stream, place.topic, place.partition],
    generation,
  ])
  return row?.nextOffset
}

const insertPartitions = statement(`
  insert into kit.stream_partitions (stream, generation, topic, partition, first_offset, next_offset, heard_at)
  select $1, generation, topic, partition, 0, 0, $4
  from unnest($2::text[], $3::integer[]) as places (topic, partition), kit.streams as streams
  where streams.stream = $1 and streams.state <> 'retired'
  on conflict do nothing`)
// A new owner gives a partition the time to be fetched before it is idle.
const hearPartitions = statement(`
  update kit.stream_partitions as at
  set heard_at = case when $5 then $4 else heard_at end, idle = idle and not $5
  from unnest($2::text[], $3::integer[]) as places (topic, partition)
  where at.stream = $1 and at.topic = places.topic and at.partition = places.partition
  returning at.generation, at.topic, at.partition, at.next_offset as "nextOffset", at.joined`)

/** Where one generation stands in a partition. */
export type Standpoint = {
  readonly generation: number
  readonly topic: string
  readonly partition: number
  readonly nextOffset: bigint
  readonly joined: boolean
}

/**
 * Makes the rows of partitions that are new, from their beginning, in every generation; answers where all of them stand. `owned`:
 * they have a new owner, who has not heard of them yet.
 */
export async function ownPartitions(
  tx: AnyTx,
  stream: string,
  partitions: readonly { readonly topic: string; readonly partition: number }[],
  owned: boolean,
): Promise<Standpoint[]> {
  const values = [stream, partitions.map(({ topic }) => topic), partitions.map(({ partition }) => partition), tx.at]
  await tx.query(insertPartitions, values)
  return tx.query<Standpoint>(hearPartitions, [...values, owned])
}

const movePartition = statement(`
  update kit.stream_partitions
  set next_offset = $5, newest_ms = $6, epoch = $7, joined = $8, heard_at = $9, idle = false
  where stream = $1 and topic = $2 and partition = $3 and generation = $4`)

/** Writes with the commit how far a generation is then. */
export function moveTo(tx: AnyTx, { stream, topic, partition }: Place, to: Standing): void {
  const { generation, nextOffset, newestMs, epoch, joined } = to
  const values = [stream, topic, partition, generation, nextOffset, newestMs, epoch, joined, tx.at]
  tx.lastly(movePartition, () => values)
}

// The rows are made first, in one order, so that two partitions with events of one key wait for each other and never both begin it.
const insertKeys = statement(`
  insert into kit.stream_state (stream, generation, key, began_ms, touched_ms)
  select $1, $2, key, 0, 0 from unnest($3::text[]) as keys (key) on conflict do nothing`)
const lockStates = statement(`
  select mine.key, coalesce(mine.state, before.state) as state,
    (case when mine.state is null then before.began_ms else mine.began_ms end)::float as "beganMs",
    (case when mine.state is null then before.touched_ms else mine.touched_ms end)::float as "touchedMs"
  from kit.stream_state as mine
  left join kit.stream_state as before
    on before.stream = mine.stream and before.key = mine.key and before.generation = $4 and before.began_ms < $5
  where mine.stream = $1 and mine.generation = $2 and mine.key = any($3::text[])
  order by mine.key for update of mine`)

/**
 * Takes the states of some keys for this transaction. In a replay from a time on, a key that began before it is taken as the active
 * generation knows it.
 */
export async function takeStates(
  tx: AnyTx,
  stream: string,
  { generation, fromMs }: Generation,
  active: number,
  keys: readonly string[],
): Promise<ReadonlyMap<string, Held>> {
  const sorted = [...new Set(keys)].sort()
  if (sorted.length === 0) return new Map()
  await tx.query(insertKeys, [stream, generation, sorted])
  const before = generation === active || fromMs === null ? [0, 0] : [active, fromMs]
  const rows = await tx.query<Held & { key: string }>(lockStates, [stream, generation, sorted, ...before])
  return new Map(rows.filter(({ state }) => state !== null).map(({ key, ...held }) => [key, held]))
}

// A row that was there may have been forgotten for its age since.
const upsertStates = statement(`
  insert into kit.stream_state (stream, generation, key, state, began_ms, touched_ms)
  select $1, $2, key, state::jsonb, began_ms, touched_ms
  from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[]) as new (key, state, began_ms, touched_ms)
  on conflict (stream, generation, key) do update
    set state = excluded.state, began_ms = excluded.began_ms, touched_ms = excluded.touched_ms`)
const deleteEmpty = statement(`
  delete from kit.stream_state where stream = $1 and generation = $2 and key = any($3::text[]) and state is null`)
const upsertParts = statement(`
  insert into kit.stream_windows as part
    (stream, generation, topic, partition, starts_ms, counter, amount, first_offset, dirty)
  select $1, $2, $3, $4, starts_ms, counter, amount, first_offset, counter <> ''
  from unnest($5::bigint[], $6::text[], $7::bigint[], $8::bigint[]) as new (starts_ms, counter, amount, first_offset)
  on conflict (stream, generation, starts_ms, topic, partition, counter) do update
    set amount = part.amount + excluded.amount, first_offset = least(part.first_offset, excluded.first_offset),
      dirty = excluded.dirty`)
const insertLate = statement(`
  insert into kit.stream_late (stream, generation, topic, partition, record_offset, event_id, event_ms, starts_ms, counts)
  select $1, $2, $3, $4, record_offset, event_id, event_ms, starts_ms, counts::jsonb
  from unnest($5::bigint[], $6::text[], $7::bigint[], $8::bigint[], $9::text[])
    as new (record_offset, event_id, event_ms, starts_ms, counts)
  on conflict do nothing`)

/** Writes with the commit what a batch came to. `keys` are those that were taken. */
export function writeFolded(
  tx: AnyTx,
  { stream, topic, partition }: Place,
  generation: number,
  { states, windows, late }: Folded,
  keys: readonly string[],
): void {
  if (states.size > 0) {
    const held = [...states.values()]
    tx.lastly(upsertStates, () => [
      ...[stream, generation, [...states.keys()], held.map(({ state }) => JSON.stringify(state))],
      ...[held.map(({ beganMs }) => beganMs), held.map(({ touchedMs }) => touchedMs)],
    ])
  }
  const untouched = keys.filter((key) => !states.has(key))
  if (untouched.length > 0) tx.lastly(deleteEmpty, () => [stream, generation, untouched])
  const parts = [...windows].flatMap(([startsMs, { firstOffset, counts }]) =>
    [...counts].map(([counter, amount]) => ({ startsMs, firstOffset, counter, amount })),
  )
  if (parts.length > 0) {
    tx.lastly(upsertParts, () => [
      ...[stream, generation, topic, partition, parts.map(({ startsMs }) => startsMs)],
      ...[parts.map(({ counter }) => counter), parts.map(({ amount }) => amount)],
      parts.map(({ firstOffset }) => firstOffset),
    ])
  }
  if (late.length > 0) {
    tx.lastly(insertLate, () => [
      ...[stream, generation, topic, partition, late.map(({ input }) => input.offset)],
      ...[late.map(({ input }) => input.id), late.map(({ input }) => input.timeMs)],
      ...[late.map(({ startsMs }) => startsMs), late.map(({ counts }) => JSON.stringify(textual(counts)))],
    ])
  }
}

/** Whole numbers as text: JSON has no room for them all. */
function textual(counts: Readonly<Record<string, bigint>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(counts).map(([counter, amount]) => [counter, String(amount)]))
}
