/** A read model for tests. As a process of its own it builds it anew, for tests that kill it. */
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { openDatabase } from './database.ts'
import { eventStore } from './event-store.ts'
import { type Projection, startProjections } from './projection.ts'

export const orders = service('orders', { owns: [postgres({ connectionsMax: 30 })] })
export type Tables = { seen: { id: string; events: number; last: string } }
export const store = eventStore([OrderPlacedSchema, OrderConfirmedSchema])
export type Event = Parameters<(typeof store)['append']>[3][number]

/** How many events each stream has, and the last one: wrong as soon as one is skipped, repeated or overtaken. */
export const seen: Projection<Tables, Event, 'seen'> = {
  name: 'seen',
  version: 1,
  columns: 'id text primary key, events integer not null, last text not null',
  indexes: ['last'],
  async apply({ db, table }, events) {
    for (const { streamId, version, message } of events) {
      const row = { id: streamId, events: version, last: message.$typeName }
      if (version === 1) {
        await db.insertInto(table).values(row).execute()
        continue
      }
      const { numUpdatedRows } = await db
        .updateTable(table)
        .set(row)
        .where('id', '=', streamId)
        .where('events', '=', version - 1)
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) throw new Error(`${streamId} misses the event before ${version}`)
    }
  },
}

const [, , given] = process.argv
if (import.meta.filename === process.argv[1] && given) {
  const app = testApp(orders, { postgres: JSON.parse(given) as PostgresConfiguration })
  const projections = await startProjections(app, openDatabase<Tables>(app), store, [seen], { batchMax: 10 })
  await projections.rebuild('seen')
}
