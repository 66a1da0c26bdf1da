/** Payments: charges an order once its stock is reserved, and gives the money back when the order is cancelled. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { publisher } from '#kit/messaging/publisher.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { orderEvents, paymentEvents, payments, stockEvents } from '#mesh/shop.ts'
import { openBank } from './bank-client.ts'
import { paymentHandlers } from './handlers.ts'
import { type PaymentsTables, storedPayments } from './store.ts'

await run(payments, async (app) => {
  const database = await app.add('database', openDatabase<PaymentsTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const publish = publisher(payments, paymentEvents)
  const { charge, stop } = paymentHandlers({ bank: openBank(app), payments: storedPayments, publish })
  // The bank may take seconds: it is asked before the transaction, not in it.
  const consumers = [
    consumer(payments, stockEvents, database, { StockReserved: { prepare: charge } }),
    consumer(payments, orderEvents, database, { OrderCancelled: { prepare: stop } }),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers }))
})
