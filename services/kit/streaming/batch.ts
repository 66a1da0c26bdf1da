import { pause } from '../app/pause.ts'
import type { Batch, HandleContext, IncomingRecord } from '../kafka/port.ts'
import type { DeadLetterReason } from '../messaging/dead-letter.ts'
import { reasonOf } from '../messaging/dead-letter.ts'
import { decodeEnvelope, type Envelope } from '../messaging/envelope.ts'
import { type AnyHandler, readMessage } from '../messaging/handlers.ts'
import { keyProblem } from '../messaging/storable.ts'
import type { AnyTx } from '../store/database.ts'
import { isPassing } from '../store/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { metric } from '../telemetry/semantics.ts'
import { counter } from '../telemetry/telemetry.ts'
import { bury, tellChanges } from './effects.ts'
import { eventsCounter, type Folded, type FoldInput, fold } from './fold.ts'
import { markFailed, takeUnseen } from './seen.ts'
import {
  type Generation,
  generationsOf,
  lockPartition,
  moveTo,
  ownPartitions,
  type Place,
  pairOf,
  type Standing,
  takeStates,
  writeFolded,
} from './state.ts'
import type { Stream } from './stream.ts'
import { windowStart } from './window.ts'

/** An event of a stream, with the record that it came in. */
export type StreamEvent = FoldInput & { readonly record: IncomingRecord; readonly envelope: Envelope }

/** A record that can never be applied. */
export type Poison = {
  readonly record: IncomingRecord
  readonly id: string
  /** As an event's, where it could be read. */
  readonly timeMs: number
  readonly reason: DeadLetterReason
}

/** What a record is to a stream: an event, poison, or nothing that it declared. */
export type Entry = { readonly offset: bigint; readonly event?: StreamEvent; readonly poison?: Poison }

/** Another process has taken the partition over since this one had it: nothing was written. */
export class Fenced extends Error {
  override readonly name = 'Fenced'
}

/**
 * What comes within this time is applied together, for results wait for slow partitions anyway, and every transaction waits for
 * the disk: a tenth of the time after which a partition counts as idle.
 */
const gatherMsMax = 1_000

/**
 * Applies batches of a stream's partitions, each in one transaction. A partition belongs to whoever took it last: an earlier owner
 * that wakes up is refused. Records are applied from the partition's own offset on, and each event once, so a repeat has no effect.
 */
export function applyTo(
  stream: Stream,
  log: Log,
  batchMax: number,
): (batch: Batch, context: HandleContext) => Promise<void> {
  // Each assignment of a partition has a signal of its own.
  const claims = new WeakMap<AbortSignal, bigint>()
  const gatherMs = Math.min(gatherMsMax, stream.windows.idleMs / 10)
  return async (batch, context) => {
    const { topic, partition, records } = batch
    const place = { stream: stream.name, topic, partition }
    const entries = records.map((record) => readRecord(stream, batch, record))
    const apply = async (some: readonly Entry[]) => {
      const claim = claims.get(context.signal)
      const epoch = await stream.database.transaction((tx) => applyLive(tx, { stream, place, log }, some, claim), {
        attempts: 3,
      })
      claims.set(context.signal, epoch)
    }
    try {
      await applyOrEach(entries, apply, context)
    } catch (thrown) {
      // Whoever still owns it, by what the group says, takes it again after the backoff.
      if (thrown instanceof Fenced) claims.delete(context.signal)
      throw thrown
    }
    counter(metric.messagingConsumed).add(records.length, { destination: topic, outcome: 'handled' })
    if (records.length < batchMax) await pause(gatherMs, context.signal)
  }
}

/** Where something in the batch cannot be written, each record by itself shows which, and that one becomes a dead letter. */
export async function applyOrEach(
  entries: readonly Entry[],
  apply: (some: readonly Entry[]) => Promise<void>,
  { done, signal }: HandleContext,
): Promise<void> {
  const isOfRecord = (thrown: unknown) => !(thrown instanceof Fenced || signal.aborted || isPassing(thrown))
  try {
    return await apply(entries)
  } catch (thrown) {
    if (!isOfRecord(thrown)) throw thrown
  }
  for (const entry of entries) {
    signal.throwIfAborted()
    try {
      await apply([entry])
    } catch (thrown) {
      if (!isOfRecord(thrown) || !entry.event) throw thrown
      const { record, id, timeMs } = entry.event
      await apply([{ offset: entry.offset, poison: { record, id, timeMs, reason: reasonOf(thrown, 1) } }])
    }
    done(entry.offset)
  }
}

/** Reads a record for a stream. Never throws. */
export function readRecord(
  stream: Stream,
  { topic, partition }: Pick<Batch, 'topic' | 'partition'>,
  record: IncomingRecord,
): Entry {
  const { offset, key } = record
  const reactions = stream.inputs.get(topic)?.reactions ?? new Map()
  const envelope = decodeEnvelope(record.headers, 'kafka')
  const readable = readMessage(envelope, record.value, reactions as ReadonlyMap<string, AnyHandler>)
  const id = envelope.ok ? envelope.value.id : `${topic}/${partition}/${offset}`
  const timeMs = Math.min(envelope.ok ? envelope.value.time.getTime() : Infinity, record.timestampMs)
  if (!readable.ok) {
    const reason = { code: readable.code, message: readable.reason, exception: '', attempts: 0 }
    return { offset, poison: { record, id, timeMs, reason } }
  }
  if (!readable.value) return { offset }
  const unkept = keyProblem(key)
  if (unkept !== undefined) {
    return {
      offset,
      poison: { record, id, timeMs, reason: { code: 'PERMANENT', message: unkept, exception: '', attempts: 0 } },
    }
  }
  const { envelope: read, message } = readable.value
  const react = reactions.get(read.type)?.react
  const at = { id, type: read.type, key, topic, timeMs }
  return {
    offset,
    event: { ...at, partition, offset, record, envelope: read, react: (state) => react(state, message, at) },
  }
}

/** Where a batch is applied, and who is told. */
export type Where = { readonly stream: Stream; readonly place: Place; readonly log: Log }

/** Applies records to the active generation, and to one that is being built where that has come as far. Answers the owner's epoch. */
async function applyLive(
  tx: AnyTx,
  where: Where,
  entries: readonly Entry[],
  claim: bigint | undefined,
): Promise<bigint> {
  const { stream, place } = where
  // Held until the commit, so that no replay begins or ends in the middle.
  const generations = await generationsOf(tx, stream.name, 'share')
  const { active, building } = pairOf(generations)
  if (!active) throw new Error(`The stream ${stream.name} has no active generation.`)
  const standing = await lockOrMake(tx, place, active.generation)
  if (claim !== undefined && standing.epoch !== claim) {
    throw new Fenced(
      `${place.topic}/${place.partition} of ${stream.name} is another's now (${standing.epoch}, not ${claim}).`,
    )
  }
  const epoch = claim ?? standing.epoch + 1n
  const to = { of: active, active, standing: { ...standing, epoch } }
  const { folded, lost } = await applyToGeneration(tx, where, to, entries)
  const letters = new Map(lost.map((each) => [each.id, each]))
  if (building) {
    // A statement of its own, after the lock was had: it sees a replay that came to this place a moment ago.
    const beside = await lockPartition(tx, place, building.generation)
    if (beside?.joined) {
      const applied = { of: building, active, standing: { ...beside, epoch } }
      for (const each of (await applyToGeneration(tx, where, applied, entries)).lost) letters.set(each.id, each)
    }
  }
  await tellChanges(tx, stream, folded.changes)
  await bury(tx, where, [...letters.values()])
  tx.afterCommit(() => {
    if (folded.late.length > 0) counter(metric.streamLate).add(folded.late.length, { stream: stream.name })
  })
  return epoch
}

async function lockOrMake(tx: AnyTx, place: Place, generation: number): Promise<Standing> {
  const known = await lockPartition(tx, place, generation)
  if (known) return known
  await ownPartitions(tx, place.stream, [place], true)
  const made = await lockPartition(tx, place, generation)
  if (!made) throw new Error(`The partition ${place.topic}/${place.partition} of ${place.stream} cannot be made.`)
  return made
}

/** Where a generation stands, and which one is active. */
export type Applied = { readonly of: Generation; readonly active: Generation; readonly standing: Standing }

/** What came of a batch in one generation, which records are lost to it, and where it then stands. */
export type AppliedTo = {
  readonly folded: Folded<StreamEvent>
  readonly lost: readonly Poison[]
  readonly moved: Standing
}

/** Applies to one generation what it has not had, and moves it on with the commit. */
export async function applyToGeneration(
  tx: AnyTx,
  { stream, place, log }: Where,
  { of, active, standing }: Applied,
  entries: readonly Entry[],
): Promise<AppliedTo> {
  const fresh = entries.filter(({ offset }) => offset >= standing.nextOffset)
  const events = fresh.flatMap(({ event }) => event ?? [])
  const inputs = await takeUnseen(tx, stream, of.generation, place.topic, events)
  const keys = [...new Set(inputs.map(({ key }) => key))]
  const held = await takeStates(tx, stream.name, of, active.generation, keys)
  const counting = stream.counting.has(place.topic)
  const folded = fold(inputs, { held, newestMs: standing.newestMs, windows: stream.windows, counting })
  const failed = folded.failed.map(({ input: { record, id, timeMs }, error }): Poison => {
    const { message, exception } = reasonOf(error, 1)
    return { record, id, timeMs, reason: { code: 'PERMANENT', message, exception, attempts: 1 } }
  })
  const lost = [...fresh.flatMap(({ poison }) => poison ?? []), ...failed]
  const windows = withLost(folded.windows, lost, stream.windows.sizeMs)
  writeFolded(tx, place, of.generation, { ...folded, windows }, keys)
  const ids = failed.map(({ id }) => id)
  markFailed(tx, stream, of.generation, ids)
  const [first, last] = [fresh[0], fresh.at(-1)]
  const missing = first && standing.nextOffset > 0n ? first.offset - standing.nextOffset : 0n
  if (missing > 0n) {
    counter(metric.streamLost).add(Number(missing), { stream: stream.name })
    log.error('Records were deleted before this stream had read them: raise the retention, or look why it was away.', {
      ...place,
      generation: of.generation,
      missing: String(missing),
    })
  }
  const nextOffset = last ? last.offset + 1n : standing.nextOffset
  const moved = { ...standing, nextOffset, newestMs: folded.newestMs }
  moveTo(tx, place, moved)
  return { folded, lost, moved }
}

/** With the windows of what is lost: its letter may count there, so a replay of such a window has to begin at it. */
function withLost(windows: Folded['windows'], lost: readonly Poison[], sizeMs: number): Folded['windows'] {
  const parts = new Map(windows)
  for (const { record, timeMs } of lost) {
    const startsMs = windowStart(timeMs, sizeMs)
    const part = parts.get(startsMs)
    if (part && part.firstOffset < record.offset) continue
    parts.set(startsMs, { firstOffset: record.offset, counts: part?.counts ?? new Map([[eventsCounter, 0n]]) })
  }
  return parts
}
