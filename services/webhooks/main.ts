/** Webhooks: tells subscribers outside what becomes of orders, signed, until they have heard it. */
import { run } from '#kit/app/lifecycle.ts'
import { restServer } from '#kit/http/server.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { deliverWebhooks } from '#kit/webhooks/deliverer.ts'
import { targetPolicy } from '#kit/webhooks/target.ts'
import { webhooksApi } from '#mesh/shop/interfaces.ts'
import { orderEvents, orderWebhooks } from '#mesh/shop/messages.ts'
import { webhooks, webhooksExposure } from '#mesh/shop.ts'
import { eventTypes, reactions } from './events.ts'
import { webhookHandlers } from './handlers.ts'
import { webhookRoutes } from './routes.ts'

await run(webhooks, async (app) => {
  const database: Database<object> = await app.add('database', openDatabase(app))
  await migrate(database)
  const policy = targetPolicy(app.configuration.webhookReceivers)
  await app.add('deliverer', deliverWebhooks(app, orderWebhooks, database, { policy }))
  const consumers = [consumer(webhooks, orderEvents, database, reactions)]
  await app.add('messaging', startMessaging(app, { database, consumers }))
  const handlers = webhookHandlers(database, { webhook: orderWebhooks.name, types: eventTypes, policy })
  await app.add('rest', restServer(app, webhooksApi, webhookRoutes(handlers), webhooksExposure))
})
