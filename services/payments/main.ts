/** Payments: charges an order once its stock is reserved, and gives the money back when the order is cancelled. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { orderEvents, payments, stockEvents } from '#mesh/shop.ts'
import type { StockReserved } from '#proto/parley/inventory/v1/events_pb.ts'
import type { OrderCancelled } from '#proto/parley/orders/v1/events_pb.ts'
import { openBank } from './bank-client.ts'
import { charge, stop } from './handlers.ts'
import type { PaymentsTables } from './store.ts'

await run(payments, async (app) => {
  const database = await app.add('database', openDatabase<PaymentsTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const bank = openBank(app)
  // The bank may take seconds: it is asked before the transaction, not in it.
  const consumers = [
    consumer(payments, stockEvents, database, {
      StockReserved: { prepare: (event: StockReserved) => charge(event, database, bank) },
    }),
    consumer(payments, orderEvents, database, {
      OrderCancelled: { prepare: (event: OrderCancelled) => stop(event, database, bank) },
    }),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers }))
})
