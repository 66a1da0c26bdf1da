/** What a batch comes to, as a pure function: the same events after the same state give the same outcome. */
import { isLate, type Windows, windowStart } from './window.ts'

/** An event as it is told to a reaction. */
export type Occurrence = {
  /** The same for every delivery. */
  readonly id: string
  /** The full name of the message. */
  readonly type: string
  /** What state is kept by: the record's key. */
  readonly key: string
  readonly topic: string
  /** When it happened: the envelope's time, and never later than the time of its record. Ms since 1970. */
  readonly timeMs: number
}

/** What a reaction answers: the key's new state, and what the event adds to its window. */
export type Turn<State> = {
  /** Default: it stays as it is. Must be what JSON can hold. */
  readonly state?: State
  readonly counts?: Readonly<Record<string, bigint>>
}

/** What is known of a key. */
export type Held = { readonly state: unknown; readonly beganMs: number; readonly touchedMs: number }

/** An event with what is to be done about it. */
export type FoldInput = Occurrence & {
  readonly partition: number
  readonly offset: bigint
  readonly react: (state: unknown) => Turn<unknown>
}

/** What one partition adds to one window. */
export type WindowPart = { readonly firstOffset: bigint; readonly counts: ReadonlyMap<string, bigint> }

/** An event that came too late for its window. */
export type Late<I> = {
  readonly input: I
  readonly startsMs: number
  readonly counts: Readonly<Record<string, bigint>>
}

/** The outcome of a batch. */
export type Folded<I extends FoldInput = FoldInput> = {
  /** The keys whose state has changed. */
  readonly states: ReadonlyMap<string, Held>
  readonly windows: ReadonlyMap<number, WindowPart>
  readonly late: readonly Late<I>[]
  readonly newestMs: number
  /** Each change of a state, in order. */
  readonly changes: readonly { readonly input: I; readonly state: unknown }[]
  /** Events whose reaction threw: they changed nothing. */
  readonly failed: readonly { readonly input: I; readonly error: unknown }[]
}

/** How many events of a window came in time, beside what reactions count. No part of a result. */
export const eventsCounter = ''

/** Where a partition stands before a batch; `counting` is false where the topic's events do not drive the windows. */
export type FoldFrom = {
  readonly held: ReadonlyMap<string, Held>
  readonly newestMs: number
  readonly windows: Windows
  readonly counting: boolean
}

/** Applies events of one partition in their order. */
export function fold<I extends FoldInput>(inputs: readonly I[], from: FoldFrom): Folded<I> {
  const { held, windows, counting } = from
  const states = new Map<string, Held>()
  const parts = new Map<number, { firstOffset: bigint; counts: Map<string, bigint> }>()
  const late: Late<I>[] = []
  const changes: { input: I; state: unknown }[] = []
  const failed: { input: I; error: unknown }[] = []
  let { newestMs } = from
  for (const input of inputs) {
    const { key, timeMs, offset } = input
    const before = states.get(key) ?? held.get(key)
    const turn = reacted(input, before, counting)
    if ('error' in turn) {
      failed.push({ input, error: turn.error })
      continue
    }
    const { state, counts } = turn
    if (state !== undefined) {
      states.set(key, touched(state, before, timeMs))
      changes.push({ input, state })
    }
    const startsMs = windowStart(timeMs, windows.sizeMs)
    const tooLate = counting && isLate(startsMs, newestMs, windows)
    if (tooLate && counts) late.push({ input, startsMs, counts })
    if (!tooLate) {
      const part = parts.get(startsMs) ?? { firstOffset: offset, counts: new Map<string, bigint>() }
      parts.set(startsMs, part)
      for (const [counter, amount] of Object.entries({ ...counts, [eventsCounter]: 1n })) {
        part.counts.set(counter, (part.counts.get(counter) ?? 0n) + amount)
      }
    }
    newestMs = Math.max(newestMs, timeMs)
  }
  return { states, windows: parts, late, newestMs, changes, failed }
}

/** What a reaction answers, where it can be stored. */
function reacted(input: FoldInput, before: Held | undefined, counting: boolean): Turn<unknown> | { error: unknown } {
  try {
    const turn = input.react(before?.state)
    if (turn.counts && !counting)
      throw new Error(`The events of ${input.topic} do not drive the windows, so they add nothing.`)
    const tooMuch = Object.values(turn.counts ?? {}).find((amount) => amount > amountMax || amount < -amountMax)
    if (tooMuch !== undefined) throw new Error(`${tooMuch} is more than one event may add to a window.`)
    if (turn.state !== undefined && unstorable.test(JSON.stringify(turn.state))) {
      throw new Error('The state holds a character that the database cannot.')
    }
    return turn
  } catch (error) {
    return { error }
  }
}

const amountMax = 2n ** 53n
/** The escapes of the character 0 and of half a pair, which Postgres refuses in `jsonb`. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i

function touched(state: unknown, before: Held | undefined, timeMs: number): Held {
  const { beganMs = timeMs, touchedMs = timeMs } = before ?? {}
  return { state, beganMs: Math.min(beganMs, timeMs), touchedMs: Math.max(touchedMs, timeMs) }
}
