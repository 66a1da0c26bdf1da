import pg from 'pg'
import { password } from '#local/secrets.ts'
import type { Shop } from './shop.ts'

const connectWithinMs = 5_000

/** Asks a database as a service's role, with that role's own password; rejects as Postgres refuses. */
export async function queryAs<T extends object>(
  { layout }: Shop,
  role: string,
  database: string,
  text: string,
  values: readonly string[] = [],
): Promise<readonly T[]> {
  const { socketDir, port } = layout.postgres
  const client = new pg.Client({
    ...{ host: socketDir, port, user: role, database, connectionTimeoutMillis: connectWithinMs },
    query_timeout: connectWithinMs,
    password: await password(layout, 'postgres', role),
  })
  await client.connect()
  try {
    return (await client.query<T>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
