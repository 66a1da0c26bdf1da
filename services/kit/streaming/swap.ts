/** The end of a replay: what it made takes the place of what there was, in one transaction. */
import { type AnyTx, statement } from '../store/database.ts'
import { closedWindow, makeResults, type ResultRow, watermarkOf } from './closing.ts'
import { carrySeen } from './seen.ts'
import { type Generation, generationsOf, pairOf } from './state.ts'
import type { ClosedWindow, Stream } from './stream.ts'

/** What came of a replay that has ended: the first window that is rebuilt, null where all are. */
export type Swapped = { readonly generation: number; readonly rebuiltFromMs: number | null }

/**
 * Puts a generation that has come as far in every partition into the active one's place; undefined where there is none. Windows that
 * begin before the replay does, or of which the log no longer holds every event, are taken over as they were.
 */
export async function swapWhenReady(stream: Stream): Promise<Swapped | undefined> {
  const { name, database } = stream
  // Asked often while a replay runs, so first without a lock, for which every batch would wait.
  const { building: seen } = pairOf(await generationsOf(database, name))
  if (!seen || (await isBehind(database, name, seen))) return undefined
  return database.transaction(async (tx) => {
    await tx.query(patience)
    // No batch is under way while this is held.
    const { active, building } = pairOf(await generationsOf(tx, name, 'update'))
    if (!active || !building || (await isBehind(tx, name, building))) return undefined
    const pair = [name, active.generation, building.generation]
    const [{ uncoveredMs } = { uncoveredMs: null }] = await tx.query<{ uncoveredMs: number | null }>(
      selectUncovered,
      pair,
    )
    const wholeFromMs = uncoveredMs === null ? null : uncoveredMs + stream.windows.sizeMs
    const rebuiltFromMs = later(building.fromMs, wholeFromMs)
    if (rebuiltFromMs !== null) {
      for (const takeOver of takeOvers) await tx.query(takeOver, [...pair, rebuiltFromMs])
      await tx.query(deleteLesser, [...pair, wholeFromMs])
      await tx.query(takeOlder, pair)
      await carrySeen(tx, stream, active.generation, building.generation)
    }
    await tx.query(carryIdle, pair)
    const before = await watermarkOf(tx, stream, building.generation, tx.at)
    const [{ closedMs } = { closedMs: null }] = await tx.query<{ closedMs: number | null }>(
      selectLastClosed,
      pair.slice(0, 2),
    )
    const closed = closedMs === null ? null : closedMs + stream.windows.sizeMs
    const results = await makeResults(tx, stream, building.generation, later(before, closed) ?? 0, allWindows)
    await tellDifferences(tx, stream, pair, results)
    await tx.query(retire, pair.slice(0, 2))
    await tx.query(activate, [name, building.generation, tx.at, rebuiltFromMs])
    return { generation: building.generation, rebuiltFromMs }
  })
}

async function isBehind(
  from: Pick<AnyTx, 'query'>,
  stream: string,
  { generation }: Pick<Generation, 'generation'>,
): Promise<boolean> {
  const [row] = await from.query<{ behind: boolean }>(selectBehind, [stream, generation])
  return row?.behind ?? true
}

const allWindows = 1_000_000

/** Of the rebuilt results only those are published that are not what they were: as corrections. */
async function tellDifferences(
  tx: AnyTx,
  stream: Stream,
  pair: readonly unknown[],
  results: readonly ClosedWindow[],
): Promise<void> {
  const known = await tx.query<ResultRow & { changed: boolean }>(carryRevisions, pair)
  const before = new Map(known.map((row) => [row.startsMs, row]))
  const emptied = await tx.query<ResultRow>(insertEmptied, [...pair, tx.at])
  for (const row of emptied) stream.closed(tx, closedWindow(stream, row))
  for (const result of results) {
    const row = before.get(result.startsMs)
    if (!row) stream.closed(tx, result)
    else if (row.changed) stream.closed(tx, closedWindow(stream, row))
  }
}

function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b)
}

// What is taken over may be much; batches wait for it, and are tried again.
const patience = statement(`select set_config('statement_timeout', '300000', true)`)
const selectBehind = statement(`
  select exists (
    select from kit.stream_partitions where stream = $1 and generation = $2 and not joined
  ) as behind`)
// Of an older window the replay has not read every event: its log was deleted up to a later offset.
const selectUncovered = statement(`
  select max(part.starts_ms)::float as "uncoveredMs"
  from kit.stream_windows as part
  join kit.stream_partitions as at
    on at.stream = part.stream and at.topic = part.topic and at.partition = part.partition and at.generation = $3
  where part.stream = $1 and part.generation = $2 and part.first_offset < at.first_offset`)
const takeOvers = [
  statement(
    `delete from kit.stream_windows where stream = $1 and generation = $3 and $2::integer <> $3 and starts_ms < $4`,
  ),
  statement(
    `delete from kit.stream_late where stream = $1 and generation = $3 and $2::integer <> $3 and starts_ms < $4`,
  ),
  statement(`update kit.stream_windows set generation = $3 where stream = $1 and generation = $2 and starts_ms < $4`),
  statement(`update kit.stream_late set generation = $3 where stream = $1 and generation = $2 and starts_ms < $4`),
  statement(`update kit.stream_results set generation = $3 where stream = $1 and generation = $2 and starts_ms < $4`),
]
// A key that began before the log is whole may have had events that are deleted: the generation before knows it better.
const deleteLesser = statement(`
  delete from kit.stream_state as mine using kit.stream_state as before
  where mine.stream = $1 and mine.generation = $3 and before.stream = mine.stream and before.generation = $2
    and before.key = mine.key and (before.began_ms < mine.began_ms or before.began_ms < $4::bigint)`)
const takeOlder = statement(`
  update kit.stream_state as before set generation = $3
  where stream = $1 and generation = $2 and not exists (
    select from kit.stream_state as mine where mine.stream = $1 and mine.generation = $3 and mine.key = before.key)`)
// Both stand at the same place: where nothing waits for the one, nothing waits for the other. The watermark goes on from where it was.
const carryIdle = statement(`
  update kit.stream_partitions as mine set idle = true
  from kit.stream_partitions as before
  where mine.stream = $1 and mine.generation = $3 and before.stream = $1 and before.generation = $2
    and before.topic = mine.topic and before.partition = mine.partition
    and before.idle and before.next_offset = mine.next_offset`)
const carryRevisions = statement(`
  update kit.stream_results as mine
  set revision = before.revision + case when mine.counts <> before.counts then 1 else 0 end
  from kit.stream_results as before
  where mine.stream = $1 and mine.generation = $3 and before.stream = $1 and before.generation = $2
    and before.starts_ms = mine.starts_ms
  returning mine.starts_ms::float as "startsMs", mine.revision, mine.counts, mine.counts <> before.counts as changed`)
// What is left of the generation before is of windows in which nothing counts any more.
const insertEmptied = statement(`
  with emptied as (
    select starts_ms, counts <> '{}' as changed, revision + case when counts <> '{}' then 1 else 0 end as revision
    from kit.stream_results as before where stream = $1 and generation = $2 and not exists (
      select from kit.stream_results as mine
      where mine.stream = $1 and mine.generation = $3 and mine.starts_ms = before.starts_ms)
  ), kept as (
    insert into kit.stream_results (stream, generation, starts_ms, revision, counts, closed_at)
    select $1, $3, starts_ms, revision, '{}', $4 from emptied
  )
  select starts_ms::float as "startsMs", revision, '{}'::jsonb as counts from emptied where changed order by starts_ms`)
const selectLastClosed = statement(`
  select max(starts_ms)::float as "closedMs" from kit.stream_results where stream = $1 and generation = $2`)
const retire = statement(`update kit.streams set state = 'retired' where stream = $1 and generation = $2`)
const activate = statement(`
  update kit.streams set state = 'active', ended_at = $3, rebuilt_from_ms = $4 where stream = $1 and generation = $2`)
