import type { Operation } from '#kit/app/operations.ts'
import { invalidArgument, notFound, ServiceError } from '#kit/errors.ts'
import type { Database } from '#kit/store/database.ts'
import { minorUnitsMax } from './product.ts'
import { type CatalogTables, readProduct } from './store.ts'
import { writeProduct } from './write.ts'

/**
 * What an operator may ask of the catalogue: `GET /products/ID`, and `POST /products/ID/price` with `minorUnits` and the
 * `revision` that was read. `not-found` where there is no such product, `conflict` where it was changed since.
 */
export function productsOperation(database: Database<CatalogTables>): Operation {
  return async ({ verb, path, body }) => {
    const [productId = '', wish = ''] = path
    const product = await readProduct(database.db, productId)
    if (!product) throw notFound(`There is no product ${productId.slice(0, 64)}.`)
    if (verb === 'GET' && wish === '') return { product }
    if (verb !== 'POST' || wish !== 'price') {
      throw new ServiceError('unimplemented', 'Ask GET /products/ID or POST /products/ID/price.')
    }
    const [minorUnits, revision] = [Number(body.minorUnits), Number(body.revision)]
    if (!Number.isInteger(minorUnits) || minorUnits < 1 || minorUnits > minorUnitsMax || !Number.isInteger(revision)) {
      throw invalidArgument(`Give minorUnits, 1 to ${minorUnitsMax}, and the revision that was read.`)
    }
    const { name, description, price } = product
    const wanted = { name, description, price: { ...price, minorUnits } }
    const written = await writeProduct(database, productId, wanted, (current) => current === revision)
    if (!written) throw new ServiceError('conflict', 'It was changed since; read it again.')
    return { product: written.product }
  }
}
