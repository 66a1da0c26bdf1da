import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import type { Kysely } from 'kysely'
import pg from 'pg'
import type { ServiceNode } from '#graph/service.ts'
import type { Configuration, PostgresConfiguration } from '../app/configuration.ts'
import type { Log } from '../telemetry/log.ts'
import { asDatabaseError, isConflict, StoreUnavailable } from './errors.ts'
import { kyselyOn } from './kysely.ts'
import { inOneTrip } from './pipeline.ts'
import { prepared, transact } from './transaction.ts'

/** A prepared statement of the kit; the name is unique to its text. */
export type Statement = { readonly name: string; readonly text: string }

/** A transaction, whatever tables its service has: what `publish`, `send` and `append` take. */
export type AnyTx = {
  /** The transaction's own time: one moment for everything that it writes. */
  readonly at: Date
  readonly database: AnyDatabase
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>
  /**
   * A statement that goes to the server together with the commit, after all others: when it runs, all locks that order this
   * transaction are held. Its values are asked for when `run` has ended; its failure rolls back. Not for what this
   * transaction may read: the messages of a batch share one. `committed` hears its rows once the effect is durable; must not throw.
   */
  lastly(statement: Statement, values: () => readonly unknown[], committed?: (rows: readonly unknown[]) => void): void
  /** Runs once the effect is durable; must not throw. */
  afterCommit(run: () => void): void
}

/** A transaction on a service's tables. It ends with the function it was given to; later use throws. */
export type Tx<Tables> = AnyTx & { readonly db: Kysely<Tables> }

/** How a transaction is run. */
export type TransactionOptions = {
  /** All attempts, the first included; only serialization failures and deadlocks are repeated. Default 1. */
  readonly attempts?: number
  /** Default: read committed. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable'
}

/** The parts of a database that do not depend on its tables. */
export type AnyDatabase = {
  /** One statement in a transaction of its own. */
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>
  /** Takes a connection out of the pool for as long as the caller wants it, such as to listen. */
  session(): Promise<Session>
  /** Tells the listeners in this process that rows were written for them; see `onSignal`. */
  signal(name: string): void
  onSignal(name: string, listener: () => void): () => void
  close(): Promise<void>
}

/** A service's database. Numbers of 64 bits are `bigint`, `jsonb` is parsed, `bytea` is a `Buffer`, times are `Date`s. */
export type Database<Tables> = AnyDatabase & {
  /** For reads outside a transaction. It has no transactions of its own: they are `transaction`. */
  readonly db: Kysely<Tables>
  /**
   * Commits what `run` did, or rolls back and throws what it threw.
   * @throws StoreUnavailable when the server cannot be had; after a lost commit the outcome is unknown.
   */
  transaction<R>(run: (tx: Tx<Tables>) => Promise<R>, options?: TransactionOptions): Promise<R>
}

/** A connection of one's own. */
export type Session = {
  readonly client: pg.PoolClient
  /** As the client's, but failures of the server and of the connection come as `StoreUnavailable`. */
  query(config: pg.QueryConfig): Promise<pg.QueryResult>
  /** Several in one round trip; all that follow a failed one are skipped. */
  queries(configs: readonly pg.QueryConfig[]): Promise<readonly pg.QueryResult[]>
  release(broken?: boolean): void
}

/** The bounds of a service's use of its database. */
export type DatabaseOptions = {
  /** Default: the wall clock. */
  readonly clock?: () => Date
  /** One statement at most. Default 10,000. */
  readonly statementTimeoutMs?: number
  /** A transaction that waits for its own service at most. Default 10,000. */
  readonly idleTimeoutMs?: number
}

type DatabaseApp = {
  readonly node: ServiceNode
  readonly configuration: Pick<Configuration, 'postgres'>
  readonly log: Log
}

const connectTimeoutMs = 5_000
const lockTimeoutMs = 5_000

/** Opens the service's own database, with as many connections at most as its store declares. Connects on first use. */
export function openDatabase<Tables>(app: DatabaseApp, options: DatabaseOptions = {}): Database<Tables> {
  const { configuration, log, node } = app
  const store = node.spec.owns?.[0]
  if (!store || !configuration.postgres) throw new Error(`${node.name} owns no store: declare owns: [postgres()].`)
  const pool = openPool(configuration.postgres, node.name, store.connectionsMax, options)
  // A connection that dies while it idles in the pool is replaced by the next use; nobody else would hear of it.
  pool.on('error', (error) => log.warn('An idle database connection was lost.', { error }))
  return databaseOn<Tables>(pool, options.clock ?? (() => new Date()))
}

function openPool(configuration: PostgresConfiguration, name: string, max: number, options: DatabaseOptions): pg.Pool {
  const { host, port, database, user, passwordFile, tls } = configuration
  return new pg.Pool({
    host,
    port,
    database,
    user,
    // Read again for each connection, so that a changed password or certificate needs no restart.
    ...(passwordFile === null ? {} : { password: () => readPassword({ ...configuration, passwordFile }) }),
    ...(tls ? { ssl: renewedTls(tls) } : {}),
    max,
    application_name: name,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: 60_000,
    statement_timeout: options.statementTimeoutMs ?? 10_000,
    idle_in_transaction_session_timeout: options.idleTimeoutMs ?? 10_000,
    lock_timeout: lockTimeoutMs,
    keepAlive: true,
    types,
  })
}

/** Files that are read at each connection. */
function renewedTls(files: NonNullable<PostgresConfiguration['tls']>): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    get ca() {
      return readFileSync(files.authorityFile)
    },
    get cert() {
      return readFileSync(files.certFile)
    },
    get key() {
      return readFileSync(files.keyFile)
    },
  }
}

const int8 = 20
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === int8 ? BigInt : pg.types.getTypeParser(oid, format as 'text')
const types: pg.CustomTypesConfig = { getTypeParser }

/** The password of the first line of a `.pgpass` file that fits; undefined where none does (then none is needed). */
function readPassword(configuration: PostgresConfiguration & { readonly passwordFile: string }): string {
  const { host, port, database, user, passwordFile } = configuration
  const wanted = [host, String(port), database, user]
  for (const line of readFileSync(passwordFile, 'utf8').split('\n')) {
    const fields = line.split(/(?<!\\):/).map((field) => field.replace(/\\([:\\])/g, '$1'))
    const fits = wanted.every((value, index) => fields[index] === '*' || fields[index] === value)
    if (fits && fields[4] !== undefined) return fields[4]
  }
  return ''
}

function databaseOn<Tables>(pool: pg.Pool, clock: () => Date): Database<Tables> {
  const signals = new Map<string, Set<() => void>>()
  const any: AnyDatabase = {
    async query(statement, values = []) {
      const session = await take(pool)
      try {
        return (await session.query(prepared(statement, values))).rows
      } finally {
        session.release()
      }
    },
    session: () => take(pool),
    signal: (name) => {
      for (const listener of signals.get(name) ?? []) listener()
    },
    onSignal(name, listener) {
      const listeners = signals.get(name) ?? new Set()
      signals.set(name, listeners.add(listener))
      return () => void listeners.delete(listener)
    },
    close: () => pool.end(),
  }
  return {
    ...any,
    db: kyselyOn<Tables, Session>(
      () => take(pool),
      (session) => session.release(),
    ),
    async transaction(run, { attempts = 1, isolation = 'read committed' } = {}) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await transact(await take(pool), clock(), any, isolation, run)
        } catch (thrown) {
          if (attempt >= attempts || !isConflict(thrown)) throw thrown
          await sleep(Math.random() * 5 * 2 ** attempt)
        }
      }
    },
  }
}

/** A connection from the pool. What ended it while nobody was asking explains the next query's failure. */
async function take(pool: pg.Pool): Promise<Session> {
  const client = await pool.connect().catch((thrown: unknown) => {
    throw new StoreUnavailable(thrown)
  })
  let lost: Error | undefined
  const remember = (error: Error) => {
    lost ??= error
  }
  client.on('error', remember)
  const explain = (thrown: unknown): never => {
    throw asDatabaseError(lost ?? thrown)
  }
  return {
    client,
    query: (config) => client.query(config).catch(explain),
    queries: (configs) => inOneTrip(client, configs, types).catch(explain),
    release(broken = false) {
      client.off('error', remember)
      client.release(broken || lost !== undefined)
    },
  }
}

/** A statement of the kit; its name follows from its text, so that each connection parses it once. */
export function statement(text: string): Statement {
  return { name: `kit-${createHash('sha1').update(text).digest('base64url')}`, text }
}
