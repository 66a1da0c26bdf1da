/** Notifications: turns an order's news into e-mail tasks, and works them off one by one. */
import { connectOptions } from '#kit/app/address.ts'
import { run } from '#kit/app/lifecycle.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { worker } from '#kit/messaging/worker.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { emails, mail, noticeCommands, notifications, orderEvents } from '#mesh/shop.ts'
import type { SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { commands, deliver, orderNews } from './handlers.ts'
import { openMailer } from './mailer.ts'

await run(notifications, async (app) => {
  const database = await app.add('database', openDatabase(app))
  await migrate(database)
  const way = app.configuration.reaches[mail.name]
  if (!way) throw new Error('notifications reaches mail, so the configuration has its address')
  const mailer = await app.add('mailer', openMailer(connectOptions(way.address)))
  const consumers = [consumer(notifications, orderEvents, database, orderNews)]
  const SendEmail = { prepare: (task: SendEmail) => deliver(task, mailer) }
  const workers = [
    worker(notifications, emails, database, { SendEmail }),
    worker(notifications, noticeCommands, database, commands),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))
})
