import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { AnyDatabase, Session, Statement, Tx } from './database.ts'
import { kyselyOn } from './kysely.ts'

/** Runs one transaction on a session, and gives the session back. */
export async function transact<Tables, R>(
  session: Session,
  at: Date,
  database: AnyDatabase,
  isolation: string,
  run: (tx: Tx<Tables>) => Promise<R>,
): Promise<R> {
  const { tx, begun, commit, end, committed } = openTx<Tables>(session, at, database, isolation)
  let result: R
  try {
    result = await run(tx)
    await commit()
  } catch (thrown) {
    end()
    const clean = !begun() || (await session.query({ text: 'rollback' }).catch(() => undefined))
    session.release(clean === undefined)
    throw thrown
  }
  session.release()
  committed()
  return result
}

function openTx<Tables>(session: Session, at: Date, database: AnyDatabase, isolation: string) {
  const last: { readonly config: () => pg.QueryConfig; readonly committed: (rows: readonly unknown[]) => void }[] = []
  const after: (() => void)[] = []
  const { query, queries, begun } = beginningWithFirst(session, isolation)
  let open = true
  const assertOpen = () => {
    if (!open) throw new Error('This transaction has ended: await everything that uses it before its function returns.')
  }
  let db: Kysely<Tables> | undefined
  const take = async () => {
    assertOpen()
    return { query }
  }
  const tx: Tx<Tables> = {
    at,
    database,
    get db() {
      db ??= kyselyOn<Tables>(take, () => undefined)
      return db
    },
    async query(statement, values = []) {
      assertOpen()
      return (await query(prepared(statement, values))).rows
    },
    lastly: (statement, values, committed = () => undefined) =>
      void last.push({ config: () => prepared(statement, values()), committed }),
    afterCommit: (hook) => void after.push(hook),
  }
  return {
    tx,
    begun,
    async commit() {
      open = false
      if (!begun() && last.length === 0) return
      const results = await queries([...last.map(({ config }) => config()), { name: 'commit', text: 'commit' }])
      // Postgres answers COMMIT with ROLLBACK when a statement failed and the failure was swallowed.
      if (results.at(-1)?.command !== 'COMMIT') {
        throw new Error('A statement of this transaction failed, so it was rolled back.')
      }
      // They stand before that of the commit, whatever came along before them.
      const answers = results.slice(-1 - last.length)
      after.unshift(
        ...last.map(
          ({ committed }, index) =>
            () =>
              committed(answers[index]?.rows ?? []),
        ),
      )
    },
    end() {
      open = false
    },
    committed() {
      for (const hook of after) hook()
    },
  }
}

/** A session whose first statement takes the transaction's beginning along. */
function beginningWithFirst(session: Session, isolation: string) {
  const text = `begin isolation level ${isolation}`
  let begun = false
  const queries = (configs: readonly pg.QueryConfig[]) => {
    const all = begun ? configs : [{ name: text, text }, ...configs]
    begun = true
    return session.queries(all)
  }
  const query = async (config: pg.QueryConfig): Promise<pg.QueryResult> => {
    if (begun) return session.query(config)
    const [, result] = await queries([config])
    if (!result) throw new Error('The server did not answer the first statement of a transaction.')
    return result
  }
  return { query, queries, begun: () => begun }
}

/** A statement as `pg` wants it. */
export function prepared({ name, text }: Statement, values: readonly unknown[]): pg.QueryConfig {
  return { name, text, values: [...values] }
}
