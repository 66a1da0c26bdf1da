/** Payments: charges an order once its stock is reserved, and gives the money back when the order is cancelled. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { publisher, sender } from '#kit/messaging/publisher.ts'
import { worker } from '#kit/messaging/worker.ts'
import { replyingPrepared } from '#kit/saga/participant.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { fulfilmentReplies, orderEvents, paymentCommands, paymentEvents, stockEvents } from '#mesh/shop/messages.ts'
import { payments } from '#mesh/shop.ts'
import { openBank } from './bank-client.ts'
import { paymentHandlers, paymentCommands as paymentTasks } from './handlers.ts'
import { type PaymentsTables, storedPayments } from './store.ts'

await run(payments, async (app) => {
  const database = await app.add('database', openDatabase<PaymentsTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const publish = publisher(payments, paymentEvents)
  const bank = openBank(app)
  const { charge, stop } = paymentHandlers({ bank, payments: storedPayments, publish })
  // The bank may take seconds: it is asked before the transaction, not in it.
  const consumers = [
    consumer(payments, stockEvents, database, { StockReserved: { prepare: charge } }),
    consumer(payments, orderEvents, database, { OrderCancelled: stop }),
  ]
  const reply = sender(payments, fulfilmentReplies)
  const tasks = paymentTasks({ bank, payments: storedPayments })
  const workers = [
    worker(payments, paymentCommands, database, {
      ChargePayment: replyingPrepared(reply, tasks.charge),
      RefundPayment: replyingPrepared(reply, tasks.refund),
    }),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))
})
