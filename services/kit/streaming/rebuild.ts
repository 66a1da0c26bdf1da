/** A replay: a second generation is filled from the log beside the active one, and takes its place when it has come as far. */
import { ServiceError } from '../errors.ts'
import type { Batch, HandleContext, PartitionOffset, TopicPartition } from '../kafka/port.ts'
import { type AnyTx, statement } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'
import { applyOrEach, applyToGeneration, type Entry, readRecord, type Where } from './batch.ts'
import { bury } from './effects.ts'
import { handledBy } from './seen.ts'
import {
  type Generation,
  generationsOf,
  lockPartition,
  moveTo,
  nextOffsetOf,
  type Place,
  pairOf,
  type Standing,
} from './state.ts'
import type { Stream } from './stream.ts'
import { windowStart } from './window.ts'

/** From where a stream is rebuilt. An offset stands for the earliest window in which it may lie, in each partition of the topic. */
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
    const { active: { generation: active } = { generation: 1 }, building } = pairOf(generations)
    if (building) {
      throw new ServiceError(
        'failed-precondition',
        `A replay of ${stream.name} is under way, as generation ${building.generation}.`,
      )
    }
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
      // It may have come in time for a window before the newest that had begun.
      const { sizeMs, latenessMs } = stream.windows
      return row?.startsMs == null ? null : windowStart(row.startsMs - latenessMs, sizeMs)
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
 * Applies records to a generation that is being built, in each partition until it has come to where the active one is. From
 * then on both are moved by the same transactions, so that there is no moment between them. Records that were fetched for one
 * replay say nothing to the next: what lies before them would look like deleted.
 */
export function catchUp(
  stream: Stream,
  log: Log,
  generation: number,
): (batch: Batch, context: HandleContext) => Promise<void> {
  return async (batch, context) => {
    const { topic, partition, records } = batch
    const where = { stream, log, place: { stream: stream.name, topic, partition } }
    const entries = records.map((record) => readRecord(stream, batch, record))
    const apply = (some: readonly Entry[]) =>
      stream.database.transaction(
        async (tx) => {
          const { active, building } = pairOf(await generationsOf(tx, stream.name, 'share'))
          if (!active || building?.generation !== generation || context.signal.aborted) return
          await catchUpWith(tx, where, { active, building }, some)
        },
        { attempts: 3 },
      )
    await applyOrEach(entries, apply, context)
  }
}

/**
 * Joins the partitions of which the log holds nothing that the active generation has read, by where their logs begin: from
 * those no batch would ever come. `beginningsOf` is asked only where a partition waits.
 */
export async function passDeleted(
  stream: Stream,
  generation: number,
  beginningsOf: (topics: readonly string[]) => Promise<readonly PartitionOffset[]>,
): Promise<void> {
  const waiting = await stream.database.query<TopicPartition>(selectWaiting, [stream.name, generation])
  if (waiting.length === 0) return
  const waits = new Set(waiting.map(({ topic, partition }) => `${topic}/${partition}`))
  for (const { topic, partition, offset } of await beginningsOf([...new Set(waiting.map((each) => each.topic))])) {
    if (!waits.has(`${topic}/${partition}`)) continue
    const place = { stream: stream.name, topic, partition }
    await stream.database.transaction(async (tx) => {
      const { active, building } = pairOf(await generationsOf(tx, stream.name, 'share'))
      if (!active || building?.generation !== generation) return
      const ahead = await lockPartition(tx, place, active.generation)
      const found = await lockPartition(tx, place, generation)
      if (!ahead || !found || found.joined || offset < ahead.nextOffset) return
      const mine = await skipDeleted(tx, place, found, ahead.nextOffset)
      await join(tx, place, { active, mine }, [])
    })
  }
}

async function catchUpWith(
  tx: AnyTx,
  where: Where,
  { active, building }: { readonly active: Generation; readonly building: Generation },
  entries: readonly Entry[],
): Promise<void> {
  const { stream, place } = where
  // The active one's row first, as whoever moves both does.
  const near = (await nextOffsetOf(tx, place, active.generation)) ?? 0n
  const first = entries[0]?.offset ?? 0n
  if (near - first <= BigInt(nearMax)) await lockPartition(tx, place, active.generation)
  const found = await lockPartition(tx, place, building.generation)
  const target = (await nextOffsetOf(tx, place, active.generation)) ?? 0n
  if (!found || found.joined) return
  const standing = await skipDeleted(tx, place, found, first)
  const behind = entries.filter(({ offset }) => offset < target)
  const { lost, moved } = await applyToGeneration(tx, where, { of: building, active, standing }, behind)
  // All others are dead letters since the active one lost them.
  const ids = lost.map(({ id }) => id)
  const handled = await handledBy(tx, stream, active.generation, ids)
  const letters = lost.filter(({ id }) => handled.has(id))
  await bury(tx, where, letters)
  await join(tx, place, { active, mine: moved }, entries)
}

/** So few records before the other generation, the replay holds it for a moment to come to the same place. */
const nearMax = 1_000

/** Where both have come to the same offset they go on together: also where the log has nothing left in between. */
async function join(
  tx: AnyTx,
  place: Place,
  { active, mine }: { readonly active: Generation; readonly mine: Standing },
  entries: readonly Entry[],
): Promise<void> {
  const ahead = await lockPartition(tx, place, active.generation)
  if (!ahead) return
  const gap = mine.nextOffset < ahead.nextOffset
  const next = entries.find(({ offset }) => offset >= mine.nextOffset)
  if (gap && (next === undefined || next.offset < ahead.nextOffset)) return
  // What lay in between was deleted before it was read, so windows with any of it are taken over.
  if (gap) await tx.query(moveBeginning, [...placeOf(place), mine.generation, ahead.nextOffset])
  // What was deleted may have been the newest. The epoch is the owner's, who goes on when this generation has become the active one.
  const newestMs = Math.max(mine.newestMs, ahead.newestMs)
  moveTo(tx, place, { ...mine, nextOffset: ahead.nextOffset, epoch: ahead.epoch, newestMs, joined: true })
}

/** The log may have been deleted up to an offset after the one that comes next: windows with any of that are taken over. */
async function skipDeleted(tx: AnyTx, place: Place, standing: Standing, offset: bigint): Promise<Standing> {
  if (offset <= standing.nextOffset) return standing
  await tx.query(moveBeginning, [...placeOf(place), standing.generation, offset])
  return { ...standing, nextOffset: offset }
}

function placeOf({ stream, topic, partition }: Place): readonly unknown[] {
  return [stream, topic, partition]
}

const insertBuilding = statement(`
  insert into kit.streams (stream, generation, state, from_ms, began_at)
  select $1, max(generation) + 1, 'building', $2, clock_timestamp() from kit.streams where stream = $1
  returning generation`)
const partitionColumns =
  'stream, generation, topic, partition, first_offset, next_offset, epoch, newest_ms, heard_at, idle, joined'
const insertFromBeginning = statement(`
  insert into kit.stream_partitions (${partitionColumns})
  select stream, $2, topic, partition, 0, 0, epoch, 0, $4, idle, next_offset = 0
  from kit.stream_partitions where stream = $1 and generation = $3`)
// Where nothing of that time has come yet, there is nothing to read, and the generation goes on with the active one at once.
const insertFromTime = statement(`
  insert into kit.stream_partitions (${partitionColumns})
  select stream, $2, topic, partition, least(begins, next_offset), least(begins, next_offset), epoch,
    case when begins < next_offset then 0 else newest_ms end, $5, idle, begins >= next_offset
  from (
    select at.*, coalesce((
      select min(part.first_offset) from kit.stream_windows as part
      where part.stream = at.stream and part.generation = at.generation and part.topic = at.topic
        and part.partition = at.partition and part.starts_ms >= $4), at.next_offset) as begins
    from kit.stream_partitions as at where stream = $1 and generation = $3
  ) as standing`)
const selectWaiting = statement(`
  select topic, partition from kit.stream_partitions where stream = $1 and generation = $2 and not joined`)
const moveBeginning = statement(`
  update kit.stream_partitions set first_offset = $5
  where stream = $1 and topic = $2 and partition = $3 and generation = $4`)
const selectWindowOf = statement(`
  select min(starts_ms)::float as "startsMs" from (
    select coalesce(max(starts_ms) filter (where first_offset <= $4), min(starts_ms)) as starts_ms
    from kit.stream_windows where stream = $1 and generation = $2 and topic = $3 and partition >= 0 group by partition
  ) as windows`)
const retireBuilding = statement(`
  update kit.streams set state = 'retired', ended_at = clock_timestamp()
  where stream = $1 and state = 'building' returning generation`)
