import type { MessageMeta } from '../messaging/handlers.ts'
import type { AnyTx } from '../store/database.ts'
import { followingId } from './effects.ts'
import { fold } from './fold.ts'
import { takeLetter } from './seen.ts'
import { generationsOf, pairOf, takeStates, writeFolded } from './state.ts'
import type { StreamParts } from './stream.ts'

/** Where what a dead letter adds is kept: it belongs to no partition's order any more. */
const letterPartition = -1

/**
 * Applies an event that was a dead letter, to each generation, in the transaction that settles it. It is never late: whoever replays
 * it wants it counted, so its window is corrected.
 */
export async function applyLetter(
  stream: StreamParts,
  topic: string,
  message: unknown,
  tx: AnyTx,
  { id, type, time, destination, key }: MessageMeta,
): Promise<void> {
  const generations = await generationsOf(tx, stream.name, 'share')
  const active = pairOf(generations).active?.generation ?? 1
  const react = stream.inputs.get(topic)?.reactions.get(type)?.react
  const at = { id, type, key, topic: destination, timeMs: Math.min(time.getTime(), tx.at.getTime()) }
  const given = {
    ...at,
    partition: letterPartition,
    offset: 0n,
    react: (state: unknown) => react?.(state, message as never, at) ?? {},
  }
  const place = { stream: stream.name, topic, partition: letterPartition }
  for (const generation of generations) {
    const fresh = await takeLetter(tx, stream, generation.generation, id)
    if (!fresh && generation.generation !== active) continue
    const held = await takeStates(tx, stream.name, generation, active, [key])
    const from = { held, newestMs: 0, windows: stream.windows, counting: stream.counting.has(topic) }
    const folded = fold(fresh ? [given] : [], from)
    const [failure] = folded.failed
    if (failure) throw failure.error
    writeFolded(tx, place, generation.generation, folded, [key])
    if (generation.generation !== active) continue
    // One that a replay has counted meanwhile was not published by that: the key's fact is told as it is now.
    const state = fresh ? folded.changes[0]?.state : held.get(key)?.state
    if (state !== undefined) stream.changed(tx, state, { at, id: followingId(stream.name, id) })
  }
}
