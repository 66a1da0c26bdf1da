import { type Bell, createBell } from '../app/bell.ts'
import type { App } from '../app/lifecycle.ts'
import { pause } from '../app/pause.ts'
import { runAsMessage } from '../context.ts'
import { type Database, statement, type Tx } from './database.ts'
import { type EventStore, eventsSignal, logNewest, type StoredEvent } from './event-store.ts'
import { advance, type Batch } from './projection-batch.ts'
import { activate, begin, type Generation, turnsOf } from './projection-generations.ts'
import { observe } from './projection-metrics.ts'
import { projectionOperation, projectionWays } from './projection-operation.ts'
import { releaseParked } from './projection-parked.ts'

/**
 * A read model that follows from a service's own events. `name` is also that of the view that queries look at, so
 * `Tables` has it; a table of each generation stands behind it.
 */
export type Projection<Tables, M, Name extends keyof Tables & string> = {
  readonly name: Name
  /** Raise it whenever the columns or `apply` change: the read model is then built anew while the old one is read. */
  readonly version: number
  /** The columns and keys of the table, as they stand between the brackets of `create table`. */
  readonly columns: string
  /** Column lists to index. */
  readonly indexes?: readonly string[]
  /**
   * Brings the table up to some events, in as few statements as it can: their number is that of what was committed within
   * a moment. Events of one stream come in order; those of different streams in one order that is the same in every
   * rebuild. Writes to `table` alone, for it may be run for two generations; what it throws undoes the whole call, and the events are tried one by one.
   */
  readonly apply: (
    to: { readonly db: Tx<Tables>['db']; readonly table: Name },
    events: readonly StoredEvent<M>[],
  ) => Promise<void>
}

/** A projection of any of the tables. */
export type AnyProjection<Tables, M> = Omit<Projection<Tables, M, never>, 'name'> & { readonly name: string }

/** The projections of a process, as they run. */
export type Projections = {
  /** Builds a read model anew from the first event, online: readers see the old one until the new one has caught up. */
  rebuild(name: string): Promise<void>
  /** Applies parked events again, oldest first, as every start does: for a cause that was mended outside of the code. */
  retryParked(name: string): Promise<void>
  /** Resolves when every generation has applied what had been committed when it was called. */
  caughtUp(): Promise<void>
  close(): Promise<void>
}

/** The bounds of projecting. */
export type ProjectionOptions = {
  /** How often the log is looked at without a signal, for what other replicas write. Default 200. */
  readonly pollMs?: number
  /** Events in one transaction, which holds back readers of the log for as long as it runs. Default 200. */
  readonly batchMax?: number
}

const retryMs = { first: 200, max: 5_000 }
/** What is committed within this time is applied in one transaction: a read model is moments behind anyway, and writers get the rest. */
const gatherMs = 100

/**
 * Keeps read models up to date, each in turns of one transaction that holds what the events changed and how far it is.
 * Replicas take turns at the same read model without more coordination than its row's lock. Operators are offered `projections`.
 */
export async function startProjections<Tables, M>(
  app: Pick<App, 'log' | 'operate'>,
  database: Database<Tables>,
  store: EventStore<M>,
  projections: readonly AnyProjection<Tables, M>[],
  { pollMs = 200, batchMax = 200 }: ProjectionOptions = {},
): Promise<Projections> {
  const closing = new AbortController()
  for (const projection of projections) await begin(database, projection, 'where missing or older')
  const names = projections.map(({ name }) => name)
  const lanes = projections.map((projection) => ({ projection, bell: createBell() }))
  const laneOf = (name: string) => {
    const lane = lanes.find(({ projection }) => projection.name === name)
    if (!lane) throw new Error(`There is no projection ${name}; there are ${projections.map((each) => each.name)}.`)
    return lane
  }
  const ringAll = () => {
    for (const { bell } of lanes) bell.ring()
  }
  const unsubscribe = database.onSignal(eventsSignal, ringAll)
  const running = lanes.map(({ projection, bell }) => {
    const batch: Batch<Tables, M> = { database, store, projection, batchMax, log: app.log }
    return runAsMessage(undefined, () => follow(batch, bell, pollMs, closing.signal))
  })
  const forget = observe(database, projections)
  const started: Projections = {
    async rebuild(name) {
      const { projection, bell } = laneOf(name)
      await begin(database, projection, 'anew')
      bell.ring()
    },
    async retryParked(name) {
      await releaseParked({ database, store, projection: laneOf(name).projection, batchMax, log: app.log })
    },
    async caughtUp() {
      const target = await logNewest(database)
      while (!closing.signal.aborted) {
        const [behind] = await database.query(selectBehind, [names, target])
        if (!behind) return
        ringAll()
        await pause(10, closing.signal)
      }
    },
    async close() {
      closing.abort()
      unsubscribe()
      ringAll()
      forget()
      await Promise.all(running)
    },
  }
  app.operate('projections', projectionOperation(database, names, started), projectionWays)
  return started
}

async function follow<Tables, M>(batch: Batch<Tables, M>, bell: Bell, pollMs: number, signal: AbortSignal) {
  let failures = 0
  let retried = false
  while (!signal.aborted) {
    try {
      // Whatever parked an event may be mended by the very code that starts here.
      if (!retried) await releaseParked(batch)
      retried = true
      const left = await turn(batch)
      if (failures > 0) batch.log.info('A projection goes on.', { projection: batch.projection.name, failures })
      failures = 0
      if (left === 'none') {
        await bell.wait(pollMs)
        await pause(gatherMs, signal)
      }
    } catch (error) {
      const { name } = batch.projection
      if (failures === 0) batch.log.warn('A projection cannot go on now; it keeps trying.', { projection: name, error })
      await pause(Math.min(retryMs.max, retryMs.first * 2 ** failures), signal)
      failures += 1
    }
  }
}

/** One batch of each generation; one that was built and has caught up takes the place of the old one. */
async function turn<Tables, M>(batch: Batch<Tables, M>): Promise<'more' | 'none'> {
  let left: 'more' | 'none' = 'none'
  for (const { waits, ...generation } of await turnsOf(batch.database, batch.projection.name)) {
    if (!isOurs(batch, generation) || (generation.state === 'active' && !waits)) continue
    const { more, by } = await advance(batch, generation.generation)
    if (more) left = 'more'
    else if (generation.state === 'building' && by === 'us') {
      const shown = await activate(batch.database, batch.projection, generation.generation)
      if (shown) batch.log.info('A read model was built anew.', { projection: batch.projection.name, ...generation })
      left = 'more'
    }
  }
  return left
}

/** A newer version of this service may have begun a generation whose columns this code does not know. */
function isOurs<Tables, M>({ projection }: Batch<Tables, M>, { version }: Generation): boolean {
  return version === projection.version
}

const selectBehind = statement(`
  select from kit.projections where name = any($1::text[])
    and (split_part(position, ':', 1)::xid8, split_part(position, ':', 2)::bigint)
      < (split_part($2, ':', 1)::xid8, split_part($2, ':', 2)::bigint)
  limit 1`)
