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
export type Late = { readonly input: FoldInput; readonly startsMs: number; readonly counts: Readonly<Record<string, bigint>> }

/** The outcome of a batch. */
export type Folded = {
  /** The keys whose state has changed. */
  readonly states: ReadonlyMap<string, Held>
  readonly windows: ReadonlyMap<number, WindowPart>
  readonly late: readonly Late[]
  readonly newestMs: number
  /** Each change of a state, in order. */
  readonly changes: readonly { readonly input: FoldInput; readonly state: unknown }[]
  /** Events whose reaction threw: they changed nothing. */
  readonly failed: readonly { readonly input: FoldInput; readonly error: unknown }[]
}

/** How many events of a window there were, beside what reactions count. */
export const eventsCounter = ''

/** Where a partition stands before a batch; `counting` is false where the topic's events do not drive the windows. */
export type FoldFrom = {
  readonly held: ReadonlyMap<string, Held>
  readonly newestMs: number
  readonly windows: Windows
  readonly counting: boolean
}

/** Applies events of one partition in their order. */
export function fold(inputs: readonly FoldInput[], { held, newestMs, windows, counting }: FoldFrom): Folded {
  const states = new Map<string, Held>()
  const parts = new Map<number, { firstOffset: bigint; counts: Map<string, bigint> }>()
  const late: Late[] = []
  const changes: { input: FoldInput; state: unknown }[] = []
  const failed: { input: FoldInput; error: unknown }[] = []
  let newest = newestMs
  for (const input of inputs) {
    const { key, timeMs, offset } = input
    const before = states.get(key) ?? held.get(key)
    let turn: Turn<unknown>
    try {
      turn = input.react(before?.state)
      if (turn.counts && !counting) throw new Error(`${input.topic} does not drive the windows, so its events add nothing.`)
    } catch (error) {
      failed.push({ input, error })
      continue
    }
    if (turn.state !== undefined) {
      const touchedMs = Math.max(before?.touchedMs ?? timeMs, timeMs)
      states.set(key, { state: turn.state, beganMs: Math.min(before?.beganMs ?? timeMs, timeMs), touchedMs })
      changes.push({ input, state: turn.state })
    }
    const startsMs = windowStart(timeMs, windows.sizeMs)
    const part = parts.get(startsMs) ?? { firstOffset: offset, counts: new Map<string, bigint>() }
    parts.set(startsMs, part)
    const counts = turn.counts ?? {}
    const tooLate = counting && isLate(startsMs, newest, windows)
    if (tooLate) late.push({ input, startsMs, counts })
    for (const [counter, amount] of Object.entries({ [eventsCounter]: 1n, ...(tooLate ? {} : counts) })) {
      part.counts.set(counter, (part.counts.get(counter) ?? 0n) + amount)
    }
    newest = Math.max(newest, timeMs)
  }
  return { states, windows: parts, late, newestMs: newest, changes, failed }
}
