import type { Kysely, Selectable } from 'kysely'
import type { Tx } from '#kit/store/database.ts'
import { anyOf } from '#kit/store/kysely.ts'
import type { NewProduct, Product } from './product.ts'

/** The tables of the catalogue's database. */
export type CatalogTables = {
  product: {
    product_id: string
    name: string
    description: string
    currency: string
    minor_units: bigint
    revision: bigint
  }
}

type Db = Kysely<CatalogTables>

const productColumns = ['product_id', 'name', 'description', 'currency', 'minor_units', 'revision'] as const

/** A product, or null where there is none. */
export async function readProduct(db: Db, productId: string): Promise<Product | null> {
  const row = await db
    .selectFrom('product')
    .select(productColumns)
    .where('product_id', '=', productId)
    .executeTakeFirst()
  return row ? productOf(row) : null
}

/** These products, by id; those that nobody knows are missing. */
export async function readProducts(db: Db, productIds: readonly string[]): Promise<Product[]> {
  const rows = await db
    .selectFrom('product')
    .select(productColumns)
    .where('product_id', '=', anyOf(productIds))
    .orderBy('product_id')
    .execute()
  return rows.map(productOf)
}

/** The products after an id, by id, at most `limit`. */
export async function listPage(db: Db, after: string, limit: number): Promise<Product[]> {
  const query = db.selectFrom('product').select(productColumns).where('product_id', '>', after)
  return (await query.orderBy('product_id').limit(limit).execute()).map(productOf)
}

/** A product, locked until the transaction ends; null where there is none. */
export async function lockProduct(tx: Tx<CatalogTables>, productId: string): Promise<Product | null> {
  const query = tx.db.selectFrom('product').select(productColumns).where('product_id', '=', productId)
  const row = await query.forUpdate().executeTakeFirst()
  return row ? productOf(row) : null
}

/** Writes a product that must not exist yet; tells whether that was so. */
export async function insertProduct(tx: Tx<CatalogTables>, productId: string, wanted: NewProduct): Promise<boolean> {
  const row = { product_id: productId, ...columnsOf(wanted), revision: 1n }
  const query = tx.db
    .insertInto('product')
    .values(row)
    .onConflict((conflict) => conflict.column('product_id').doNothing())
  return (await query.executeTakeFirst()).numInsertedOrUpdatedRows === 1n
}

/** Writes what is new of a product that is locked. */
export async function updateProduct(tx: Tx<CatalogTables>, product: Product): Promise<void> {
  const changed = { ...columnsOf(product), revision: BigInt(product.revision) }
  await tx.db.updateTable('product').set(changed).where('product_id', '=', product.productId).execute()
}

function columnsOf({ name, description, price }: NewProduct) {
  return { name, description, currency: price.currency, minor_units: BigInt(price.minorUnits) }
}

function productOf(row: Selectable<CatalogTables['product']>): Product {
  const { product_id, name, description, currency, minor_units, revision } = row
  const price = { currency, minorUnits: Number(minor_units) }
  return { productId: product_id, name, description, price, revision: Number(revision) }
}
