/** A replay: a second generation is filled from the log beside the active one, and takes its place when it has come as far. */
import { ServiceError } from '../errors.ts'
import type { Batch, HandleContext } from '../kafka/port.ts'
import { type AnyTx, statement } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'
import { applyToGeneration, readRecord } from './batch.ts'
import { closedWindow, makeResults, type ResultRow, watermarkOf } from './closing.ts'
import {
  type Generation,
  generationsOf,
  lockPartition,
  moveTo,
  nextOffsetOf,
  type Place,
  type Standing,
} from './state.ts'
import type { ClosedWindow, Stream } from './stream.ts'
import { windowStart } from './window.ts'

/** From where a stream is rebuilt. An offset stands for the window in which it lies, in each partition of the topic. */
export type ReplayFrom =
  | { readonly kind: 'beginning' }
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'offset'; readonly topic: string; readonly offset: bigint }

/** A replay that was begun. Windows from `fromMs` on are rebuilt; null for all of them. */
export type Begun = { readonly generation: number; readonly fromMs: number | null }

/**
 * Begins a replay. It reads each partition from the first event of the window in which `from` lies; what lies before that window is
 * taken over at the end.
 * @throws ServiceError `failed-precondition` where the declaration does not allow it or one is under way
 */
export async function beginReplay(stream: Stream, from: ReplayFrom): Promise<Begun> {
  const fixed = [...stream.inputs.values()].filter(({ policy }) => !policy.replayable).map(({ topic }) => topic.name)
  if (fixed.length > 0) {
    throw new ServiceError(
      'failed-precondition',
      `${stream.node.name} did not declare that it can be rebuilt from ${fixed.join(', ')}: consumes(…, { replayable: true }).`,
    )
  }
  return stream.database.transaction(async (tx) => {
    const generations = await generationsOf(tx, stream.name, 'update')
    const building = generations.find(({ state }) => state === 'building')
    if (building) {
      throw new ServiceError(
        'failed-precondition',
        `A replay of ${stream.name} is under way, as generation ${building.generation}.`,
      )
    }
    const active = generations.find(({ state }) => state === 'active')?.generation ?? 1
    const fromMs = await startOf(tx, stream, active, from)
    const [{ generation } = { generation: active + 1 }] = await tx.query<{ generation: number }>(insertBuilding, [
      stream.name,
      fromMs,
    ])
    const began = [stream.name, generation, active, fromMs, tx.at]
    await tx.query(
      fromMs === null ? insertFromBeginning : insertFromTime,
      fromMs === null ? began.toSpliced(3, 1) : began,
    )
    return { generation, fromMs }
  })
}

/** The start of the first window that is rebuilt; null for everything. */
async function startOf(tx: AnyTx, stream: Stream, active: number, from: ReplayFrom): Promise<number | null> {
  switch (from.kind) {
    case 'beginning':
      return null
    case 'time':
      return windowStart(from.timeMs, stream.windows.sizeMs)
    case 'offset': {
      if (!stream.inputs.has(from.topic)) {
        const known = [...stream.inputs.keys()].join(', ')
        throw new ServiceError(
          'invalid-argument',
          `${stream.name} reads ${known}: name one of them, not "${from.topic}".`,
        )
      }
      const [row] = await tx.query<{ startsMs: number | null }>(selectWindowOf, [
        stream.name,
        active,
        from.topic,
        from.offset,
      ])
      return row?.startsMs ?? null
    }
  }
}

/** Gives a replay up; false where there is none. */
export function cancelReplay(stream: Stream): Promise<boolean> {
  return stream.database.transaction(async (tx) => {
    await generationsOf(tx, stream.name, 'update')
    return (await tx.query(retireBuilding, [stream.name])).length > 0
  })
}

/**
 * Applies records to the generation that is being built, in each partition until it has come to where the active one is. From
 * then on both are moved by the same transactions, so that there is no moment between them.
 */
export function catchUp(stream: Stream, log: Log): (batch: Batch, context: HandleContext) => Promise<void> {
  return (batch, { signal }) => {
    const { topic, partition, records } = batch
    const place = { stream: stream.name, topic, partition }
    const entries = records.map((record) => readRecord(stream, batch, record))
    return stream.database.transaction(
      async (tx) => {
        const generations = await generationsOf(tx, stream.name, 'share')
        const { active, building } = both(generations)
        if (!active || !building || signal.aborted) return
        // The active one's row first, as whoever moves both does.
        const near = (await nextOffsetOf(tx, place, active.generation)) ?? 0n
        const first = entries[0]?.offset ?? 0n
        if (near - first <= BigInt(nearMax)) await lockPartition(tx, place, active.generation)
        const found = await lockPartition(tx, place, building.generation)
        const target = (await nextOffsetOf(tx, place, active.generation)) ?? 0n
        if (!found || found.joined) return
        const standing = await beginWhereLogDoes(tx, place, found, first)
        const behind = entries.filter(({ offset }) => offset < target)
        await applyToGeneration(tx, { stream, place, log }, { of: building, active, standing }, behind)
        await join(
          tx,
          place,
          active,
          building,
          entries.some(({ offset }) => offset >= target),
        )
      },
      { attempts: 3 },
    )
  }
}

/** So few records before the other generation, the replay holds it for a moment to come to the same place. */
const nearMax = 1_000

/** Where both have come to the same offset they go on together. `past`: the log has nothing before the active one's offset any more. */
async function join(tx: AnyTx, place: Place, active: Generation, building: Generation, past: boolean): Promise<void> {
  const ahead = await lockPartition(tx, place, active.generation)
  const mine = await lockPartition(tx, place, building.generation)
  if (!ahead || !mine || mine.nextOffset > ahead.nextOffset) return
  if (mine.nextOffset < ahead.nextOffset && !past) return
  // What lay in between was deleted before it was read, so windows with any of it are taken over.
  const gap = mine.nextOffset < ahead.nextOffset
  if (gap) await tx.query(moveBeginning, [...placeOf(place), building.generation, ahead.nextOffset])
  await moveTo(tx, place, { ...mine, nextOffset: ahead.nextOffset, joined: true })
}

/** The log may have been deleted up to an offset after the one that the replay wanted to begin at. */
async function beginWhereLogDoes(tx: AnyTx, place: Place, standing: Standing, offset: bigint): Promise<Standing> {
  if (offset <= standing.nextOffset) return standing
  const moved = await tx.query(moveUntouched, [...placeOf(place), standing.generation, offset])
  return moved.length > 0 ? { ...standing, nextOffset: offset } : standing
}

function placeOf({ stream, topic, partition }: Place): readonly unknown[] {
  return [stream, topic, partition]
}

function both(generations: readonly Generation[]) {
  return {
    active: generations.find(({ state }) => state === 'active'),
    building: generations.find(({ state }) => state === 'building'),
  }
}

/** What came of a replay that has ended: the first window that is rebuilt, null where all are. */
export type Swapped = { readonly generation: number; readonly rebuiltFromMs: number | null }

/**
 * Puts a generation that has come as far in every partition into the active one's place; undefined where there is none. Windows that
 * begin before the replay does, or of which the log no longer holds every event, are taken over as they were.
 */
export function swapWhenReady(stream: Stream): Promise<Swapped | undefined> {
  return stream.database.transaction(async (tx) => {
    const { name } = stream
    // No batch is under way while this is held.
    const { active, building } = both(await generationsOf(tx, name, 'update'))
    if (!active || !building) return undefined
    const [{ behind } = { behind: true }] = await tx.query<{ behind: boolean }>(selectBehind, [
      ...[name, building.generation],
    ])
    if (behind) return undefined
    const pair = [name, active.generation, building.generation]
    const [{ uncoveredMs } = { uncoveredMs: null }] = await tx.query<{ uncoveredMs: number | null }>(
      selectUncovered,
      pair,
    )
    const rebuiltFromMs = later(building.fromMs, uncoveredMs === null ? null : uncoveredMs + stream.windows.sizeMs)
    if (rebuiltFromMs !== null) {
      for (const takeOver of takeOvers) await tx.query(takeOver, [...pair, rebuiltFromMs])
      for (const keep of olderStates) await tx.query(keep, pair)
    }
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
  for (const result of results) {
    const row = before.get(result.startsMs)
    if (!row) stream.closed(tx, result)
    else if (row.changed) stream.closed(tx, closedWindow(stream, row))
  }
}

function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b)
}

const insertBuilding = statement(`
  insert into kit.streams (stream, generation, state, from_ms, began_at)
  select $1, max(generation) + 1, 'building', $2, clock_timestamp() from kit.streams where stream = $1
  returning generation`)
const partitionColumns =
  'stream, generation, topic, partition, first_offset, next_offset, newest_ms, heard_at, idle, joined'
const insertFromBeginning = statement(`
  insert into kit.stream_partitions (${partitionColumns})
  select stream, $2, topic, partition, 0, 0, 0, $4, idle, next_offset = 0
  from kit.stream_partitions where stream = $1 and generation = $3`)
// Where nothing of that time has come yet, there is nothing to read, and the generation goes on with the active one at once.
const insertFromTime = statement(`
  insert into kit.stream_partitions (${partitionColumns})
  select stream, $2, topic, partition, least(begins, next_offset), least(begins, next_offset),
    case when begins < next_offset then 0 else newest_ms end, $5, idle, begins >= next_offset
  from (
    select at.*, coalesce((
      select min(part.first_offset) from kit.stream_windows as part
      where part.stream = at.stream and part.generation = at.generation and part.topic = at.topic
        and part.partition = at.partition and part.starts_ms >= $4), at.next_offset) as begins
    from kit.stream_partitions as at where stream = $1 and generation = $3
  ) as standing`)
const moveBeginning = statement(`
  update kit.stream_partitions set first_offset = $5
  where stream = $1 and topic = $2 and partition = $3 and generation = $4`)
const moveUntouched = statement(`
  update kit.stream_partitions set first_offset = $5, next_offset = $5
  where stream = $1 and topic = $2 and partition = $3 and generation = $4 and next_offset = first_offset and next_offset < $5
  returning 1`)
const selectWindowOf = statement(`
  select min(starts_ms)::float as "startsMs" from (
    select coalesce(max(starts_ms) filter (where first_offset <= $4), min(starts_ms)) as starts_ms
    from kit.stream_windows where stream = $1 and generation = $2 and topic = $3 and partition >= 0 group by partition
  ) as windows`)
const retireBuilding = statement(`
  update kit.streams set state = 'retired', ended_at = clock_timestamp()
  where stream = $1 and state = 'building' returning generation`)
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
// What began before the log does is better known to the generation before.
const olderStates = [
  statement(`
    delete from kit.stream_state as mine using kit.stream_state as before
    where mine.stream = $1 and mine.generation = $3 and before.stream = mine.stream and before.generation = $2
      and before.key = mine.key and before.began_ms < mine.began_ms`),
  statement(`
    update kit.stream_state as before set generation = $3
    where stream = $1 and generation = $2 and not exists (
      select from kit.stream_state as mine where mine.stream = $1 and mine.generation = $3 and mine.key = before.key)`),
]
const carryRevisions = statement(`
  update kit.stream_results as mine
  set revision = before.revision + case when mine.counts <> before.counts then 1 else 0 end
  from kit.stream_results as before
  where mine.stream = $1 and mine.generation = $3 and before.stream = $1 and before.generation = $2
    and before.starts_ms = mine.starts_ms
  returning mine.starts_ms::float as "startsMs", mine.revision, mine.counts, mine.counts <> before.counts as changed`)
const selectLastClosed = statement(`
  select max(starts_ms)::float as "closedMs" from kit.stream_results where stream = $1 and generation = $2`)
const retire = statement(`update kit.streams set state = 'retired' where stream = $1 and generation = $2`)
const activate = statement(`
  update kit.streams set state = 'active', ended_at = $3, rebuilt_from_ms = $4 where stream = $1 and generation = $2`)
