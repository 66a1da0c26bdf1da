/** Customers: registers them, and tells everybody who wants to know. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { every } from '#kit/app/timer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { customers } from '#mesh/shop.ts'
import { forgetRequests } from './handlers.ts'
import { customersServer } from './server.ts'
import type { CustomersTables } from './store.ts'

const forgetEveryMs = 60_000

await run(customers, async (app) => {
  const database = await app.add('database', openDatabase<CustomersTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  await app.add('messaging', startMessaging(app, { database }))
  await app.add('rest', customersServer(app, database))
  const forget = every(forgetEveryMs, app, () => forgetRequests(database, new Date()))
  await app.add('forgetting', forget)
})
