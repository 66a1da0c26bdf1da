import type { Closable } from '#kit/app/admin.ts'
import type { App } from '#kit/app/lifecycle.ts'
import { restServer } from '#kit/http/server.ts'
import type { Database } from '#kit/store/database.ts'
import { catalogApi } from '#mesh/shop/interfaces.ts'
import type { catalog } from '#mesh/shop.ts'
import { getProduct, listProducts, productsQuery, putProduct } from './handlers.ts'
import { newProductSchema } from './product.ts'
import type { CatalogTables } from './store.ts'

/** Serves the catalogue's routes. */
export function catalogServer(app: App<typeof catalog>, database: Database<CatalogTables>): Promise<Closable> {
  return restServer(
    app,
    catalogApi,
    {
      listProducts: {
        summary: 'Products by their ids, or all of them page by page.',
        query: productsQuery,
        handler: ({ query }) => listProducts(query, database),
      },
      getProduct: {
        summary: 'One product.',
        handler: ({ params }) => getProduct(params.id, database),
      },
      putProduct: {
        summary: 'Writes a product: with `If-Match` what was read before, with `If-None-Match: *` a new one.',
        body: newProductSchema,
        handler: (request) => putProduct(request, database),
      },
    },
    { deadlineMs: 1_000, bodyBytesMax: 16_384 },
  )
}
