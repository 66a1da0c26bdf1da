import { publisher } from '#kit/messaging/publisher.ts'
import type { Database } from '#kit/store/database.ts'
import { productEvents } from '#mesh/shop/messages.ts'
import { catalog } from '#mesh/shop.ts'
import { ProductPutSchema } from '#proto/parley/catalog/v1/events_pb.ts'
import { isSame, type NewProduct, type Product } from './product.ts'
import { type CatalogTables, insertProduct, lockProduct, updateProduct } from './store.ts'

const publish = publisher(catalog, productEvents)

/**
 * Writes a product where its revision, null for one that is not there, is as the writer expects, and tells everybody. Null
 * where somebody else was faster.
 */
export function writeProduct(
  database: Database<CatalogTables>,
  productId: string,
  wanted: NewProduct,
  expected: (revision: number | null) => boolean,
): Promise<{ product: Product; isNew: boolean } | null> {
  return database.transaction(async (tx) => {
    const known = await lockProduct(tx, productId)
    // A repeat of a request whose answer was lost finds its work done, which is not a change by somebody else.
    if (known && isSame(known, wanted)) return { product: known, isNew: false }
    if (!expected(known?.revision ?? null)) return null
    const product = { ...wanted, productId, revision: (known?.revision ?? 0) + 1 }
    if (known) await updateProduct(tx, product)
    // Somebody wrote it since we looked, where there was nothing to lock.
    else if (!(await insertProduct(tx, productId, wanted))) return null
    const { name, price, revision } = product
    const money = { currency: price.currency, minorUnits: BigInt(price.minorUnits) }
    publish(tx, ProductPutSchema, { productId, name, price: money, revision: BigInt(revision) })
    return { product, isNew: known === null }
  })
}
