/** Shipping: sends the parcels of confirmed orders. */
import { join } from 'node:path'
import { consumer } from '#kit/consumer.ts'
import { openDatabase } from '#kit/database.ts'
import { run } from '#kit/lifecycle.ts'
import { startMessaging } from '#kit/messaging.ts'
import { migrate } from '#kit/migrations.ts'
import { orderEvents, shipping } from '#mesh/shop.ts'
import { dispatch } from './handlers.ts'
import type { ShippingTables } from './store.ts'

await run(shipping, async (app) => {
  const database = await app.add('database', openDatabase<ShippingTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const consumers = [consumer(shipping, orderEvents, database, { OrderConfirmed: dispatch })]
  await app.add('messaging', startMessaging(app, { database, consumers }))
})
