/** The storefront: one question of the web front end, answered from orders, the catalogue and what it heard of customers. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { client } from '#kit/grpc/client.ts'
import { cachingClient } from '#kit/http/caching-client.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { catalogApi } from '#mesh/shop/interfaces.ts'
import { customerEvents } from '#mesh/shop/messages.ts'
import { storefront } from '#mesh/shop.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { reactions } from './handlers.ts'
import { storefrontServer } from './server.ts'
import type { StorefrontTables } from './store.ts'

await run(storefront, async (app) => {
  const database = await app.add('database', openDatabase<StorefrontTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const consumers = [consumer(storefront, customerEvents, database, reactions)]
  await app.add('messaging', startMessaging(app, { database, consumers }))

  const orders = client(app, OrderService)
  const catalog = cachingClient(app, catalogApi)
  await app.add('graphql', storefrontServer(app, { orders, catalog, database }))
})
