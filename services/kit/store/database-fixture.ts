import type { ServiceNode } from '#graph/service.ts'
import { testApp } from '../app/app-fixture.ts'
import { type Database, openDatabase } from './database.ts'
import { migrate } from './migrations.ts'
import type { PostgresFixture } from './postgres-fixture.ts'

/** A migrated database of one test; `again` opens it once more, as another replica would. */
export type FreshDatabase<Tables> = {
  readonly database: Database<Tables>
  readonly again: () => Database<Tables>
  readonly at: ReturnType<PostgresFixture['create']>
}

/** Gives every test a database of its own on one server, and closes what was opened. */
export function freshDatabases<Tables>(node: ServiceNode) {
  const open: Database<Tables>[] = []
  let made = 0
  return {
    async create(server: PostgresFixture): Promise<FreshDatabase<Tables>> {
      made += 1
      const at = server.create(`test_${made}`)
      const again = () => {
        const database = openDatabase<Tables>(testApp(node, { postgres: at }), { statementTimeoutMs: 3_000 })
        open.push(database)
        return database
      }
      const database = again()
      await migrate(database)
      return { database, again, at }
    },
    async close(): Promise<void> {
      for (const database of open.splice(0)) await database.close()
    },
  }
}
