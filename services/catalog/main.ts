/** The catalogue: what the shop sells and shows, over REST, so that whoever reads may keep it for a while. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { catalog } from '#mesh/shop.ts'
import { productsOperation } from './operation.ts'
import { catalogServer } from './server.ts'
import type { CatalogTables } from './store.ts'

await run(catalog, async (app) => {
  const database = await app.add('database', openDatabase<CatalogTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  await app.add('messaging', startMessaging(app, { database }))
  app.operate('products', productsOperation(database))
  await app.add('rest', catalogServer(app, database))
})
