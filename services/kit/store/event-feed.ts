import { type Bell, createBell } from '../app/bell.ts'
import type { App } from '../app/lifecycle.ts'
import { pause } from '../app/pause.ts'
import { currentSignal, runAsMessage } from '../context.ts'
import { invalidArgument, ServiceError } from '../errors.ts'
import type { AnyDatabase } from './database.ts'
import { type EventRing, eventRing, isBefore } from './event-ring.ts'
import {
  type EventStore,
  eventsSignal,
  type LoggedEvent,
  type LogPosition,
  logEnd,
  logNewest,
  logStart,
} from './event-store.ts'

/** What a follower hears: an event, or a sign of life where nothing has happened for a while. */
export type Followed<M> =
  | { readonly kind: 'event'; readonly event: LoggedEvent<M>; readonly position: LogPosition }
  | { readonly kind: 'alive'; readonly position: LogPosition }

/** Whom to follow. */
export type FollowOptions = {
  readonly after: LogPosition
  /** Only this stream. Default: all. */
  readonly streamId?: string
  /** Ends once everything is told that had happened when it was asked. Default: false, it never ends by itself. */
  readonly untilNow?: boolean
}

/** A log of events as it grows, for any number of readers. */
export type EventFeed<M> = {
  /**
   * Tells the events after a position, and then what happens, as it happens. A reader takes a page at a time, no faster
   * than it is asked: a slow one costs a page of memory, and nobody waits for it. Ends when the request under way does.
   * @throws ServiceError `unavailable` when the process stops: go on elsewhere after the last position; `overloaded` at
   * too many followers; `invalid-argument` of `after` where the log ends before it: it never gave out such a position
   */
  follow(options: FollowOptions): AsyncIterable<Followed<M>>
  /** How many follow now. */
  followers(): number
  close(): Promise<void>
}

/** The bounds of a feed. */
export type FeedOptions = {
  /** How often the log is looked at for all followers together, for what other replicas write. Default 100. */
  readonly pollMs?: number
  /** Events that one follower holds at most. Default 100. */
  readonly pageMax?: number
  /** A follower hears something at least this often. Default 15,000. */
  readonly aliveEveryMs?: number
  readonly followersMax?: number
}

/**
 * Reads the log once for all followers that are not far behind, and wakes those whom an event concerns. While nobody
 * follows it does nothing.
 */
export function openFeed<M>(
  app: Pick<App, 'log' | 'stopping'>,
  database: AnyDatabase,
  store: EventStore<M>,
  { pollMs = 100, pageMax = 100, aliveEveryMs = 15_000, followersMax = 1_000 }: FeedOptions = {},
): EventFeed<M> {
  const closing = new AbortController()
  const ended = AbortSignal.any([closing.signal, app.stopping])
  const waiting = new Map<Bell, string | undefined>()
  const tail = createBell()
  const ring = eventRing<M>(ringMax)
  const wake = (streams: ReadonlySet<string> | 'all') => {
    for (const [bell, streamId] of waiting) {
      if (streams === 'all' || streamId === undefined || streams.has(streamId)) bell.ring()
    }
  }
  const unsubscribe = database.onSignal(eventsSignal, () => tail.ring())
  const onEnd = () => {
    tail.ring()
    wake('all')
  }
  ended.addEventListener('abort', onEnd, { once: true })
  const running = runAsMessage(undefined, () =>
    watch({ database, store, ring, tail, wake, pollMs, ended, log: app.log, idle: () => waiting.size === 0 }),
  )

  const feed: Feed<M> = { database, store, ring, tail, waiting, ended, pageMax, aliveEveryMs, followersMax }

  return {
    follow: (options) => follow(feed, options),
    followers: () => waiting.size,
    async close() {
      closing.abort()
      unsubscribe()
      await running
    },
  }
}

type Feed<M> = Required<Omit<FeedOptions, 'pollMs'>> & {
  readonly database: AnyDatabase
  readonly store: EventStore<M>
  readonly ring: EventRing<M>
  readonly tail: Bell
  /** Who waits to be woken, and for which stream. */
  readonly waiting: Map<Bell, string | undefined>
  readonly ended: AbortSignal
}

async function* follow<M>(feed: Feed<M>, options: FollowOptions): AsyncIterable<Followed<M>> {
  const { tail, waiting, followersMax } = feed
  if (waiting.size >= followersMax) {
    throw new ServiceError('overloaded', `${followersMax} follow already; come back later.`)
  }
  const signal = currentSignal()
  const bell = createBell()
  const onAbort = () => bell.ring()
  waiting.set(bell, options.streamId)
  tail.ring()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    yield* read(feed, options, bell, signal)
  } finally {
    signal.removeEventListener('abort', onAbort)
    waiting.delete(bell)
  }
}

async function* read<M>(
  { database, store, ring, ended, pageMax, aliveEveryMs }: Feed<M>,
  { after, streamId, untilNow = false }: FollowOptions,
  bell: Bell,
  signal: AbortSignal,
): AsyncIterable<Followed<M>> {
  await expectReached(database, ring, after)
  const until = untilNow ? await logNewest(database, streamId) : undefined
  let position = after
  let toldMs = performance.now()
  while (!signal.aborted) {
    if (ended.aborted) throw stops()
    // Whoever is not far behind reads from memory, so that many followers cost the database no more than one.
    const known = untilNow ? undefined : ring.after(position, pageMax, streamId)
    const page = known?.events ?? (await store.readLog(database, position, pageMax, streamId))
    for (const event of page) {
      position = event.position
      yield { kind: 'event', event, position }
    }
    position = known?.through ?? position
    if (page.length === pageMax) continue
    if (until !== undefined && !isBefore(position, until)) return
    if (page.length > 0) toldMs = performance.now()
    const quietMs = performance.now() - toldMs
    if (until !== undefined) await pause(untilPollMs, ended)
    else if (quietMs >= aliveEveryMs) {
      yield { kind: 'alive', position }
      toldMs = performance.now()
    } else if (page.length === 0) await bell.wait(aliveEveryMs - quietMs)
  }
  throw signal.reason
}

/**
 * A position beyond the log's end is another log's, or from before a backup was restored: whoever goes on after it would hear nothing of
 * what comes up to there, and believe that nothing was missed.
 */
async function expectReached<M>(database: AnyDatabase, ring: EventRing<M>, after: LogPosition): Promise<void> {
  const known = ring.end() ?? logStart
  if (!isBefore(known, after) || !isBefore(await logNewest(database), after)) return
  const message = 'The log ends before it: it is not of this log, or of what a restored one has lost. Begin anew'
  throw invalidArgument('The request is wrong', { field: 'after', code: 'out-of-range', message })
}

function stops(): ServiceError {
  return new ServiceError('unavailable', 'This instance stops. Go on elsewhere after the last position.')
}

type Watch<M> = {
  readonly database: AnyDatabase
  readonly store: EventStore<M>
  readonly ring: EventRing<M>
  readonly tail: Bell
  readonly wake: (streams: ReadonlySet<string> | 'all') => void
  readonly idle: () => boolean
  readonly pollMs: number
  readonly ended: AbortSignal
  readonly log: App['log']
}

/** What has happened may still wait for an older transaction to end; this is how often it is looked for. */
const untilPollMs = 10
/** Events kept in memory for all followers together. */
const ringMax = 1_000
const readMax = 500
const idleMs = 60_000
const afterFailureMs = 500

/** Reads what is new once for all, and wakes whom it concerns; whoever is in doubt is woken. */
async function watch<M>({ database, store, ring, tail, wake, idle, pollMs, ended, log }: Watch<M>): Promise<void> {
  let watching = false
  while (!ended.aborted) {
    if (idle()) {
      watching = false
      await tail.wait(idleMs)
      continue
    }
    try {
      if (!watching) {
        ring.begin(await logEnd(database))
        watching = true
        // What came between a follower's reading and this moment was told to nobody, so all look once more.
        wake('all')
      }
      const events = await store.readLog(database, ring.end() ?? logStart, readMax)
      ring.push(events)
      if (events.length > 0) wake(new Set(events.map(({ streamId }) => streamId)))
      if (events.length < readMax) await tail.wait(pollMs)
    } catch (error) {
      log.warn('The log of events cannot be watched now; followers wait.', { error })
      watching = false
      await pause(afterFailureMs, ended)
    }
  }
}
