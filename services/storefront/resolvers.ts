import { invalidArgument, withFields } from '#kit/errors.ts'
import type { Resolvers } from '#kit/graphql/schema.ts'
import { subscription, type Told } from '#kit/graphql/subscription.ts'
import { pageMax } from './schema.ts'
import { type Context, listProducts, type Product } from './sources.ts'
import { type OrderView, updateView } from './view.ts'

type Id = { readonly id: string }
type Ids = { readonly ids: readonly string[] }
type Page = { readonly first: number; readonly after?: string | null }

/** How each field is had that is not in what its parent was made of. */
export const resolvers: Resolvers<Context> = {
  Query: {
    order: (_: unknown, { id }: Id, { orders }) => orders.load(id),
    orders: (_: unknown, { ids }: Ids, { orders }) =>
      atMost('ids', pageMax.orders, ids.length, () => ids.map((id) => orders.load(id))),
    customer: (_: unknown, { id }: Id) => ({ id }),
    customers: (_: unknown, { ids }: Ids) =>
      atMost('ids', pageMax.customers, ids.length, () => ids.map((id) => ({ id }))),
    product: (_: unknown, { id }: Id, { products }) => products.load(id),
    products: (_: unknown, { first, after }: Page, { sources }) =>
      atMost('first', pageMax.products, first, () => listProducts(first, after ?? undefined, sources)),
  },
  Order: { customer: ({ customerId }: OrderView) => ({ id: customerId }) },
  OrderItem: { product: ({ productId }: { readonly productId: string }, _, { products }) => products.load(productId) },
  Customer: {
    name: ({ id }: Id, _, { names }) => names.load(id),
    orders: ({ id }: Id, { first }: Page, { recentOrders }) =>
      atMost('first', pageMax.customerOrders, first, () => recentOrders.load({ customerId: id, first })),
  },
  Product: { id: ({ productId }: Product) => productId },
  Subscription: { orderUpdates: subscription(orderUpdates) },
}

type UpdatesOf = { readonly orderId: string; readonly afterPosition?: string | null }

/** An order that nobody placed is `not-found`, rather than a stream in which nothing ever happens. */
async function* orderUpdates(
  { orderId }: UpdatesOf,
  { sources: { orders } }: Context,
  after = '',
): AsyncIterable<Told<ReturnType<typeof updateView>>> {
  await orders.getOrder({ orderId })
  try {
    for await (const { position, update } of orders.streamOrderUpdates({ orderId, afterPosition: after })) {
      if (update) yield { position, value: updateView(position, update) }
    }
  } catch (thrown) {
    throw withFields(thrown, (field) => field.replace('after_position', 'afterPosition'))
  }
}

function atMost<T>(field: string, max: number, given: number, ask: () => T): T {
  if (given >= 1 && given <= max) return ask()
  const message = `1 to ${max} are possible.`
  throw invalidArgument(`Of "${field}" ${message}`, { field, code: 'out-of-range', message })
}
