/** The consumer of `messaging-fixture.ts` with a database of its own, for tests that hand messages to it themselves. */

import { testApp } from '../app/app-fixture.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { type EffectTables, effectTable, shipping } from './messaging-fixture.ts'

/** A server with shipping's database in it. */
export type ShippingStore = {
  readonly server: PostgresFixture
  readonly database: Database<EffectTables>
  /** Forgets every message and every effect. */
  clear(): Promise<void>
  stop(): Promise<void>
}

/** Starts a server for one test file. */
export async function startShippingStore(): Promise<ShippingStore> {
  const server = await startPostgres()
  const database = openDatabase<EffectTables>(testApp(shipping, { postgres: server.create('shipping') }))
  await migrate(database)
  await database.query(effectTable)
  return {
    server,
    database,
    async clear() {
      await database.query(statement(`truncate ${tables} restart identity`))
    },
    async stop() {
      await database.close()
      await server.stop()
    },
  }
}

const tables = 'effect, kit.inbox, kit.outbox, kit.deliveries, kit.parked_keys, kit.dead_letters'
