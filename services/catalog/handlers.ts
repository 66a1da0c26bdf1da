import { invalidArgument, notFound } from '#kit/errors.ts'
import { entityTag, preconditionFailed, readPrecondition } from '#kit/http/conditional.ts'
import type { RestRequest, RestResponse } from '#kit/http/server.ts'
import type { Database } from '#kit/store/database.ts'
import type { catalogApi } from '#mesh/shop/interfaces.ts'
import { isProductId, type newProductSchema, productIdPattern, productTag } from './product.ts'
import { type CatalogTables, listPage, readProduct, readProducts } from './store.ts'
import { writeProduct } from './write.ts'

/**
 * Whoever reads may keep it. A price may be shown for 5 s after it changed, and for 5 s more while the new one is fetched; where the
 * catalogue is away an old page is better than none for ten minutes. What an order costs is not decided here.
 */
const cacheControl = 'public, max-age=5, stale-while-revalidate=5, stale-if-error=600'

const limitDefault = 50
const limitMax = 100
const idsMax = 100

type Query = RestRequest<'GET /products', unknown>['query']
type Put = RestRequest<(typeof catalogApi)['routes']['putProduct'], typeof newProductSchema>

/** Which products are asked for. */
export const productsQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ids: {
      type: 'string',
      maxLength: 6_600,
      pattern: `^${productIdPattern}(,${productIdPattern})*$`,
      description: `Up to ${idsMax} products, with commas between. Those that nobody knows are left out.`,
    },
    limit: {
      type: 'string',
      pattern: '^[1-9][0-9]{0,2}$',
      description: `At most ${limitMax}; ${limitDefault} otherwise.`,
    },
    after: { type: 'string', pattern: `^${productIdPattern}$`, description: 'The `next` of the page before.' },
  },
} as const

/** Some products by their ids, or a page of all of them. */
export async function listProducts(query: Query, { db }: Database<CatalogTables>): Promise<RestResponse> {
  if (query.ids !== undefined) {
    const products = await readProducts(db, idsOf(String(query.ids)))
    return cacheable({ products }, entityTag(products))
  }
  const limit = limitOf(query.limit)
  // One more than is shown tells whether there are more.
  const found = await listPage(db, String(query.after ?? ''), limit + 1)
  const products = found.slice(0, limit)
  const body = { products, ...(found.length > limit && { next: products.at(-1)?.productId }) }
  return cacheable(body, entityTag(body))
}

/** One product. */
export async function getProduct(productId: string, { db }: Database<CatalogTables>): Promise<RestResponse> {
  const product = isProductId(productId) ? await readProduct(db, productId) : null
  if (!product) throw notFound(`There is no product ${productId.slice(0, 64)}`)
  return cacheable(product, productTag(product.revision))
}

/** Writes a product: only what its writer has seen is overwritten, and what is new is not there yet. */
export async function putProduct(
  { params, headers, body }: Put,
  database: Database<CatalogTables>,
): Promise<RestResponse> {
  const { id } = params
  if (!isProductId(id)) {
    const message = 'Use 1 to 64 letters, digits, dots, dashes or underscores; begin with a letter or digit.'
    throw invalidArgument(message, { field: 'path:id', code: 'format', message })
  }
  const precondition = readPrecondition(headers)
  const expected = (revision: number | null) => precondition(revision === null ? null : productTag(revision))
  const written = await writeProduct(database, id, body, expected)
  if (!written) throw preconditionFailed()
  const { product, isNew } = written
  const etag = productTag(product.revision)
  return { status: isNew ? 201 : 200, body: product, headers: { etag, ...(isNew && { location: `/products/${id}` }) } }
}

function cacheable(body: unknown, etag: string): RestResponse {
  return { status: 200, body, headers: { etag, 'cache-control': cacheControl } }
}

function idsOf(given: string): readonly string[] {
  const ids = [...new Set(given.split(','))]
  if (ids.length <= idsMax) return ids
  const message = `Up to ${idsMax} products can be asked for at once.`
  throw invalidArgument(message, { field: 'query:ids', code: 'maxItems', message })
}

function limitOf(given: string | readonly string[] | undefined): number {
  const limit = Number(given ?? limitDefault)
  if (limit <= limitMax) return limit
  const message = `A page has up to ${limitMax} products.`
  throw invalidArgument(message, { field: 'query:limit', code: 'maximum', message })
}
