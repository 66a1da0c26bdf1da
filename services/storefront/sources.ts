import { withDeadline } from '#kit/deadline.ts'
import { ServiceError } from '#kit/errors.ts'
import { type Loader, loader } from '#kit/graphql/loader.ts'
import type { Client } from '#kit/grpc/client.ts'
import type { RestClient } from '#kit/http/client.ts'
import type { Database } from '#kit/store/database.ts'
import type { catalogApi } from '#mesh/shop/interfaces.ts'
import type { storefront } from '#mesh/shop.ts'
import type { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { readNames, type StorefrontTables } from './store.ts'
import { type OrderView, orderView } from './view.ts'

/** Whom the storefront asks. */
export type Sources = {
  readonly orders: Client<typeof storefront, typeof OrderService>
  readonly catalog: RestClient<typeof storefront, typeof catalogApi>
  readonly database: Database<StorefrontTables>
}

/** A product as the catalogue shows it. */
export type Product = {
  readonly productId: string
  readonly name: string
  readonly description: string
  readonly price: { readonly currency: string; readonly minorUnits: number }
}

/** Whose newest orders, and how many. */
export type Recent = { readonly customerId: string; readonly first: number }

/** What the resolvers of one operation share: each source is asked once for all that is needed at the same time. */
export type Context = {
  readonly sources: Sources
  readonly orders: Loader<string, OrderView>
  readonly recentOrders: Loader<Recent, readonly OrderView[]>
  readonly products: Loader<string, Product>
  readonly names: Loader<string, string>
}

/** As many as orders and the catalogue take at once. */
const batchMax = { orders: 100, customers: 20, products: 100, names: 200 }

/** As long as orders may take: a database that hangs leaves names out, and the page is there before its own time is up. */
const namesWithinMs = 500

/** A new set of loaders. It lives no longer than its operation, so nothing that it remembers grows old. */
export function openContext(sources: Sources): Context {
  return {
    sources,
    orders: loader((ids) => ordersById(ids, sources), { batchMax: batchMax.orders }),
    recentOrders: loader((wanted) => ordersByCustomer(wanted, sources), {
      batchMax: batchMax.customers,
      id: recentKey,
    }),
    products: loader((ids) => productsById(ids, sources), { batchMax: batchMax.products }),
    names: loader((ids) => withDeadline(namesWithinMs, () => readNames(sources.database.db, ids)), {
      batchMax: batchMax.names,
    }),
  }
}

/** A page of the catalogue. */
export async function listProducts(first: number, after: string | undefined, { catalog }: Sources) {
  return productsOf(
    await catalog.listProducts({ query: { limit: String(first), ...(after !== undefined && { after }) } }),
  )
}

async function ordersById(orderIds: readonly string[], { orders }: Sources) {
  const { orders: found } = await orders.batchGetOrderDetails({ orderIds: [...orderIds] })
  return new Map(found.map(orderView).map((order) => [order.id, order]))
}

/** Asks for as many of each customer as are wanted of one of them, so that it is one question whatever the pages' sizes are. */
async function ordersByCustomer(wanted: readonly Recent[], { orders }: Sources) {
  const perCustomer = Math.max(...wanted.map(({ first }) => first))
  const customerIds = [...new Set(wanted.map(({ customerId }) => customerId))]
  const found = (await orders.listRecentOrders({ customerIds, perCustomer })).orders.map(orderView)
  const byCustomer = Map.groupBy(found, ({ customerId }) => customerId)
  return new Map(
    wanted.map((one) => [recentKey(one), (byCustomer.get(one.customerId) ?? []).slice(0, one.first)] as const),
  )
}

function recentKey({ customerId, first }: Recent): string {
  return `${first} ${customerId}`
}

async function productsById(ids: readonly string[], { catalog }: Sources) {
  // An id that cannot be one of the catalogue's would make it refuse the others, too. In one order, so that a cache knows the question.
  const wanted = ids.filter((id) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)).sort()
  if (wanted.length === 0) return new Map<string, Product>()
  const found = productsOf(await catalog.listProducts({ query: { ids: wanted.join(',') } }))
  return new Map(found.map((product) => [product.productId, product]))
}

function productsOf({ status, body }: { readonly status: number; readonly body: unknown }): readonly Product[] {
  const products = (body as { readonly products?: readonly Product[] } | undefined)?.products
  if (status !== 200 || !Array.isArray(products)) throw new ServiceError('internal', `The catalogue answered ${status}`)
  return products
}
