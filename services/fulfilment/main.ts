/** Fulfilment: leads the orders that ask for it from placed to shipped, or back. */
import { run } from '#kit/app/lifecycle.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { sagasOperation, sagasWays } from '#kit/saga/admin.ts'
import { orchestrator } from '#kit/saga/orchestrator.ts'
import { watchSagas } from '#kit/saga/watch.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { orderEvents } from '#mesh/shop/messages.ts'
import { fulfil, fulfilment } from '#mesh/shop.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment } from '#proto/parley/orders/v1/orders_pb.ts'
import { commands } from './commands.ts'

await run(fulfilment, async (app) => {
  const database: Database<object> = await app.add('database', openDatabase(app))
  await migrate(database)
  const sagas = orchestrator(app, fulfil, database, OrderPlacedSchema, commands)
  const consumers = [
    consumer(fulfilment, orderEvents, database, {
      OrderPlaced: {
        ignores: (order) => order.fulfilment !== Fulfilment.ORCHESTRATED,
        handle: (order, tx) => sagas.start(tx, order.orderId, order),
      },
    }),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers, workers: [sagas.replies] }))
  await app.add('watch', watchSagas(app, sagas))
  app.operate('sagas', sagasOperation(sagas), sagasWays)
})
