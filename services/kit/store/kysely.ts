import { createHash } from 'node:crypto'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type RawBuilder,
  sql,
} from 'kysely'
import type { Session } from './database.ts'

/** What a query needs of a session. */
type Asked = Pick<Session, 'query'>

/**
 * Kysely on connections that the kit hands out: it builds and types the queries, the kit decides on transactions. Its
 * queries are prepared once a connection, if they name the columns that they give.
 */
export function kyselyOn<Tables, S extends Asked = Asked>(
  take: () => Promise<S>,
  give: (session: S) => void,
): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => driverOn(take, give),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  })
}

function driverOn<S extends Asked>(take: () => Promise<S>, give: (session: S) => void): Driver {
  const sessions = new WeakMap<DatabaseConnection, S>()
  const refuse = () => Promise.reject(new Error('Transactions are opened with database.transaction.'))
  return {
    init: () => Promise.resolve(),
    async acquireConnection() {
      const session = await take()
      const connection = connectionOn(session)
      sessions.set(connection, session)
      return connection
    },
    async releaseConnection(connection) {
      const session = sessions.get(connection)
      if (session) give(session)
    },
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    destroy: () => Promise.resolve(),
  }
}

function connectionOn(session: Asked): DatabaseConnection {
  return {
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      const name = statementName(sql)
      const result = await session.query({ ...(name && { name }), text: sql, values: [...parameters] })
      const affected = result.rowCount === null ? {} : { numAffectedRows: BigInt(result.rowCount) }
      return { rows: result.rows, ...affected }
    },
    // biome-ignore lint/correctness/useYield: the interface asks for a generator, and there is nothing to yield.
    async *streamQuery() {
      throw new Error('Streaming a query is not supported: read in pages.')
    },
  }
}

/** Statements whose texts vary without end, such as lists of values, must not fill the server's memory. */
/** Any of these texts, in a comparison: one parameter whatever their number, and so one prepared statement. */
export function anyOf(texts: readonly string[]): RawBuilder<string> {
  return sql<string>`any(${texts}::text[])`
}

const namesMax = 300
const names = new Map<string, string>()

/** What gives all columns of a table changes with the table, and a prepared statement must not: each use is parsed anew. */
const givesAllColumns = /^\s*select \*|\breturning \*|"\.\*/i

function statementName(sql: string): string | undefined {
  if (givesAllColumns.test(sql)) return undefined
  const known = names.get(sql)
  if (known !== undefined || names.size >= namesMax) return known
  const name = `db-${createHash('sha1').update(sql).digest('base64url')}`
  names.set(sql, name)
  return name
}
