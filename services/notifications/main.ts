/** Notifications: turns the news of orders and customers into e-mail tasks, and works them off one by one. */
import { join } from 'node:path'
import { connectOptions } from '#kit/app/address.ts'
import { run } from '#kit/app/lifecycle.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { worker } from '#kit/messaging/worker.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { mail } from '#mesh/shop/interfaces.ts'
import { customerEvents, emails, noticeCommands, orderEvents } from '#mesh/shop/messages.ts'
import { notifications } from '#mesh/shop.ts'
import type { SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { commands, customerNews, deliver, orderNews } from './handlers.ts'
import { openMailer } from './mailer.ts'
import { type NotificationsTables, readAddress } from './store.ts'

await run(notifications, async (app) => {
  const database = await app.add('database', openDatabase<NotificationsTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const way = app.configuration.reaches[mail.name]
  if (!way) throw new Error('notifications reaches mail, so the configuration has its address')
  const mailer = await app.add('mailer', openMailer(connectOptions(way.address)))
  const consumers = [
    consumer(notifications, orderEvents, database, orderNews),
    consumer(notifications, customerEvents, database, customerNews),
  ]
  const addressOf = (customerId: string) => readAddress(database.db, customerId)
  const SendEmail = { prepare: (task: SendEmail) => deliver(task, mailer, addressOf) }
  const workers = [
    worker(notifications, emails, database, { SendEmail }),
    worker(notifications, noticeCommands, database, commands),
  ]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))
})
