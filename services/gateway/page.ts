import { remainingMs, withDeadline } from '#kit/deadline.ts'
import { type ErrorCode, ServiceError } from '#kit/errors.ts'
import type { RestResponse } from '#kit/http/server.ts'
import type { Log } from '#kit/telemetry/log.ts'
import type { Orders } from './handlers.ts'
import { type Catalog, type ProductJson, productsOf } from './products.ts'
import { orderSchema, productSchema, stateSchema } from './schemas.ts'
import { type OrderJson, orderJson, stepJson } from './view.ts'

/** A part of the page that could not be had, and the stable code of the reason. */
type Missing = { readonly part: 'history' | 'products'; readonly code: ErrorCode }

/** An order with what belongs on its page. */
export const orderPageSchema = {
  type: 'object',
  required: ['order', 'history', 'products', 'missing'],
  properties: {
    order: orderSchema,
    history: {
      type: ['array', 'null'],
      description: 'What happened to it. Follows the order within moments: `not-found` until then.',
      items: {
        type: 'object',
        properties: { revision: { type: 'integer' }, state: stateSchema, at: { type: 'string', format: 'date-time' } },
      },
    },
    products: {
      type: ['array', 'null'],
      description: 'The products of its lines, as they are sold today. One that is not sold any more is left out.',
      items: productSchema,
    },
    missing: {
      type: 'array',
      description: 'The parts that are null, and why. Empty where the page is whole.',
      items: {
        type: 'object',
        properties: { part: { type: 'string', enum: ['history', 'products'] }, code: { type: 'string' } },
      },
    },
  },
} as const

/** What of the time that is left a part may take, so that a page without it can still be answered. */
const partShare = 0.8

/**
 * Puts a page together from orders and the catalogue, each part within its own time. Without the order there is no page, and its
 * error is the page's; any other part that fails is null and named in `missing`, with the page's 200.
 */
export async function orderPage(
  orderId: string,
  { orders, catalog, log }: { readonly orders: Orders; readonly catalog: Catalog; readonly log: Log },
): Promise<RestResponse> {
  const missing: Missing[] = []
  const part = <T>(name: Missing['part'], get: () => Promise<T>): Promise<T | null> =>
    withDeadline(remainingMs() * partShare, get).catch((thrown: unknown) => {
      const error = ServiceError.from(thrown)
      if (error.code === 'internal') log.error(`The part ${name} of an order's page failed.`, { error })
      missing.push({ part: name, code: error.code })
      return null
    })
  const order = orders.getOrder({ orderId }).then((answer) => orderJson(answer.order))
  const [shown, history, products] = await Promise.all([
    order,
    part('history', async () => (await orders.getOrderDetail({ orderId })).history.map(stepJson)),
    // Which products these are is known with the order.
    order.then((known) => part('products', () => productsIn(known, catalog))),
  ])
  return { status: 200, body: { order: shown, history, products, missing } }
}

/** One question for all products, and the same one for the same products: its answer may be known already. */
function productsIn({ lines }: OrderJson, catalog: Catalog): Promise<readonly ProductJson[]> {
  return productsOf([...new Set(lines.map(({ productId }) => productId))].sort(), catalog)
}
