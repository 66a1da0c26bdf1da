import type { LoggedEvent, LogPosition } from './event-store.ts'

/** What comes after a position: the events, and up to where that was looked at. */
export type Stretch<M> = { readonly events: readonly LoggedEvent<M>[]; readonly through: LogPosition }

/** The last events of the log, without a gap, for all who are not far behind. */
export type EventRing<M> = {
  /** Forgets everything and begins after a position. */
  begin(at: LogPosition): void
  /** The next events of the log, which must follow on the last ones. */
  push(events: readonly LoggedEvent<M>[]): void
  /** Up to where the log is known; undefined before it begins. */
  end(): LogPosition | undefined
  /** At most `max` events after a position, of one stream or all; undefined where the ring does not reach back to it. */
  after(position: LogPosition, max: number, streamId?: string): Stretch<M> | undefined
}

/** Keeps at most `eventsMax` events. */
export function eventRing<M>(eventsMax: number): EventRing<M> {
  let events: LoggedEvent<M>[] = []
  let from: LogPosition | undefined
  return {
    begin(at) {
      events = []
      from = at
    },
    push(more) {
      events.push(...more)
      const dropped = events.splice(0, Math.max(0, events.length - eventsMax))
      from = dropped.at(-1)?.position ?? from
    },
    end: () => events.at(-1)?.position ?? from,
    after(position, max, streamId) {
      if (from === undefined || isBefore(position, from)) return undefined
      const found: LoggedEvent<M>[] = []
      for (let index = firstAfter(events, position); index < events.length; index += 1) {
        const event = events[index]
        if (!event || (streamId !== undefined && event.streamId !== streamId)) continue
        found.push(event)
        if (found.length === max) return { events: found, through: event.position }
      }
      const end = events.at(-1)?.position ?? from
      // A reader may be ahead of the ring, by a read of its own.
      return { events: found, through: isBefore(position, end) ? end : position }
    },
  }
}

/** Where in the events those after a position begin. */
function firstAfter(events: readonly { readonly position: LogPosition }[], position: LogPosition): number {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(position, events[middle]?.position ?? position)) high = middle
    else low = middle + 1
  }
  return low
}

/** Whether one position lies before another. */
export function isBefore(one: LogPosition, other: LogPosition): boolean {
  if (one === other) return false
  const [transaction, position] = numbers(one)
  const [otherTransaction, otherPosition] = numbers(other)
  return transaction < otherTransaction || (transaction === otherTransaction && position < otherPosition)
}

function numbers(position: LogPosition): [bigint, bigint] {
  const [transaction = '0', number = '0'] = position.split(':')
  return [BigInt(transaction), BigInt(number)]
}
