/** Notifications: turns an order's news into e-mail tasks, and works them off one by one. */
import { connectOptions } from '#kit/address.ts'
import { consumer } from '#kit/consumer.ts'
import { openDatabase } from '#kit/database.ts'
import { run } from '#kit/lifecycle.ts'
import { startMessaging } from '#kit/messaging.ts'
import { migrate } from '#kit/migrations.ts'
import { worker } from '#kit/worker.ts'
import { emails, mail, notifications, orderEvents } from '#mesh/shop.ts'
import type { SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { deliver, orderNews } from './handlers.ts'
import { openMailer } from './mailer.ts'

await run(notifications, async (app) => {
  const database = await app.add('database', openDatabase(app))
  await migrate(database)
  const mailAddress = app.configuration.reaches[mail.name]
  if (!mailAddress) throw new Error('notifications reaches mail, so the configuration has its address')
  const mailer = await app.add('mailer', openMailer(connectOptions(mailAddress)))
  const consumers = [consumer(notifications, orderEvents, database, orderNews)]
  const SendEmail = { prepare: (task: SendEmail) => deliver(task, mailer) }
  const workers = [worker(notifications, emails, database, { SendEmail })]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))
})
