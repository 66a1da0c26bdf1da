import { notFound, ServiceError } from '#kit/errors.ts'
import type { RestAnswer, RestClient } from '#kit/http/client.ts'
import type { RestResponse } from '#kit/http/server.ts'
import type { catalogApi } from '#mesh/shop/interfaces.ts'
import type { gateway } from '#mesh/shop.ts'
import { decimalMoney, type MoneyJson } from './view.ts'

/** A product as the catalogue has it. */
type Product = {
  readonly productId: string
  readonly name: string
  readonly description: string
  readonly price: { readonly currency: string; readonly minorUnits: number }
  readonly revision: number
}
type Page = { readonly products: readonly Product[]; readonly next?: string }

/** A product as clients outside see it. */
export type ProductJson = Omit<Product, 'price'> & { readonly price: MoneyJson }

/** The products of the shop. */
export type Catalog = RestClient<typeof gateway, typeof catalogApi>

const productId = '[A-Za-z0-9][A-Za-z0-9._-]{0,63}'
const productIdForm = new RegExp(`^${productId}$`)
const isProductId = (id: string) => productIdForm.test(id)

/** Which products are asked for. */
export const productsQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    limit: { type: 'string', pattern: '^([1-9][0-9]?|100)$', description: '1 to 100.' },
    after: { type: 'string', pattern: `^${productId}$`, description: 'The `next` of the page before.' },
  },
} as const

type Query = Readonly<Record<string, string | readonly string[] | undefined>>

/** A page of what the shop sells. */
export async function listProducts({ limit, after }: Query, catalog: Catalog): Promise<RestResponse> {
  const query = {
    ...(limit !== undefined && { limit: String(limit) }),
    ...(after !== undefined && { after: String(after) }),
  }
  const answer = passedOn(await catalog.listProducts({ query }))
  const page = answer.body as Page
  return { ...answer, body: { ...page, products: page.products.map(productJson) } }
}

/** One product. */
export async function getProduct(id: string, catalog: Catalog): Promise<RestResponse> {
  const missing = () => notFound(`There is no product ${id.slice(0, 64)}`)
  if (!isProductId(id)) throw missing()
  const answer = await catalog.getProduct({ params: { id } })
  if (answer.status === 404) throw missing()
  const passed = passedOn(answer)
  return { ...passed, body: productJson(passed.body as Product) }
}

/** Products by their ids, 100 of them at most; one that is not sold any more, or never could be, is left out. */
export async function productsOf(ids: readonly string[], catalog: Catalog): Promise<readonly ProductJson[]> {
  // One that can be no product's would make the catalogue refuse the others, too.
  const wanted = ids.filter(isProductId)
  if (wanted.length === 0) return []
  const { body } = passedOn(await catalog.listProducts({ query: { ids: wanted.join(',') } }))
  return (body as Page).products.map(productJson)
}

function productJson({ price, ...product }: Product): ProductJson {
  return { ...product, price: decimalMoney(price.currency, BigInt(price.minorUnits)) }
}

/** What the catalogue says of an answer holds for our clients, too: how long it is good, and what it is compared by. */
const passedHeaders = ['etag', 'cache-control', 'age', 'vary', 'cache-status']

function passedOn({ status, headers, body }: RestAnswer): RestResponse {
  if (status !== 200) throw new ServiceError('internal', `The catalogue answered ${status}`)
  const passed = passedHeaders.flatMap((name) => {
    const value = headers[name]
    return value === undefined ? [] : [[name, String(value)] as const]
  })
  return { status, body, headers: Object.fromEntries(passed) }
}
