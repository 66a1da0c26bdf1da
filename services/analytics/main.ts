/** Analytics: puts together what is known of each order, and what is sold each minute, from the events of the others. */
import { run } from '#kit/app/lifecycle.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { windowsOperation, windowsWays } from '#kit/streaming/operations.ts'
import { analytics } from '#mesh/shop.ts'
import { shownWindow } from './sales.ts'
import { salesStream } from './sales-stream.ts'

await run(analytics, async (app) => {
  const database = await app.add('database', openDatabase<object>(app))
  await migrate(database)
  const sales = salesStream(database)
  await app.add('messaging', startMessaging(app, { database, streams: [sales] }))
  app.operate('windows', windowsOperation(sales, shownWindow), windowsWays)
})
