/** Shipping: sends the parcels of confirmed orders, and says beforehand what a parcel costs. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { answerer } from '#kit/messaging/answerer.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { worker } from '#kit/messaging/worker.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { orderEvents, parcelCommands, quotes } from '#mesh/shop/messages.ts'
import { shipping } from '#mesh/shop.ts'
import { commands, quote, reactions } from './handlers.ts'
import type { ShippingTables } from './store.ts'

await run(shipping, async (app) => {
  const database = await app.add('database', openDatabase<ShippingTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const consumers = [consumer(shipping, orderEvents, database, reactions)]
  const workers = [
    answerer(shipping, quotes, database, { QuoteRequest: { prepare: quote } }),
    worker(shipping, parcelCommands, database, commands),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))
})
