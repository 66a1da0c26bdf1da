/** Inventory: tells what there is, and sets it aside for orders. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { worker } from '#kit/messaging/worker.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { orderEvents, stockCommands } from '#mesh/shop/messages.ts'
import { inventory } from '#mesh/shop.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { checkStock, commands, reactions } from './handlers.ts'
import type { InventoryTables } from './store.ts'

await run(inventory, async (app) => {
  const database = await app.add('database', openDatabase<InventoryTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const consumers = [consumer(inventory, orderEvents, database, reactions)]
  const workers = [worker(inventory, stockCommands, database, commands)]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))
  const service = implement(InventoryService, { checkStock: (request) => checkStock(request, database.db) })
  await app.add('grpc', grpcServer(app, service))
})
