import { withFields } from '#kit/errors.ts'
import type { Client } from '#kit/grpc/client.ts'
import type { ServerEvent } from '#kit/http/events.ts'
import { readIdempotencyKey } from '#kit/http/idempotency.ts'
import type { RestRequest, RestResponse } from '#kit/http/server.ts'
import type { ordersApi } from '#mesh/shop/interfaces.ts'
import type { gateway } from '#mesh/shop.ts'
import { Fulfilment, type OrderService, type StreamOrderUpdatesResponse } from '#proto/parley/orders/v1/orders_pb.ts'
import type { newOrderSchema } from './schemas.ts'
import { orderJson, summaryJson, updateJson } from './view.ts'

/** What the gateway asks of orders. */
export type Orders = Client<typeof gateway, typeof OrderService>
type NewOrderRequest = RestRequest<(typeof ordersApi)['routes']['createOrder'], typeof newOrderSchema>

/** Places an order: 201 with where it is, and `idempotency-replayed: true` where the same key had placed it before. */
export async function createOrder({ body, headers, path }: NewOrderRequest, orders: Orders): Promise<RestResponse> {
  const { customerId, lines, paymentMethod = '' } = body
  const fulfilment = body.fulfilment === 'orchestrated' ? Fulfilment.ORCHESTRATED : Fulfilment.CHOREOGRAPHED
  const idempotencyKey = readIdempotencyKey(headers['idempotency-key'])
  const answer = await inOurWords(
    orders.createOrder({ customerId, lines: [...lines], paymentMethod, idempotencyKey, fulfilment }),
  )
  const order = orderJson(answer.order)
  const replayed: Record<string, string> = answer.replayed ? { 'idempotency-replayed': 'true' } : {}
  return { status: 201, body: order, headers: { location: `${path}/${order.orderId}`, ...replayed } }
}

/** Shows an order. */
export async function getOrder(orderId: string, orders: Orders): Promise<RestResponse> {
  return { status: 200, body: orderJson((await orders.getOrder({ orderId })).order) }
}

/** Lists a customer's orders, the newest first: 20, or as many as are asked for. */
export async function listOrders(
  { customerId, limit = '20' }: Readonly<Record<string, string | readonly string[] | undefined>>,
  orders: Orders,
): Promise<RestResponse> {
  const found: ReturnType<typeof summaryJson>[] = []
  for await (const { order } of orders.listOrders({ customerId: String(customerId), limit: Number(limit) }))
    if (order) found.push(summaryJson(order))
  return { status: 200, body: { orders: found } }
}

/**
 * What happens to an order, from its beginning or after the client's last event. An order that nobody placed is
 * `not-found`, rather than a stream in which nothing ever happens.
 */
export async function orderUpdates(
  orderId: string,
  lastEventId: string | string[] | undefined,
  orders: Orders,
): Promise<RestResponse> {
  await orders.getOrder({ orderId })
  const afterPosition = [lastEventId].flat()[0] ?? ''
  return { status: 200, events: eventsOf(orders.streamOrderUpdates({ orderId, afterPosition })) }
}

async function* eventsOf(updates: AsyncIterable<StreamOrderUpdatesResponse>): AsyncIterable<ServerEvent> {
  try {
    for await (const { position, update } of updates) {
      if (update) yield { id: position, event: 'order', data: updateJson(update) }
      else yield {}
    }
  } catch (thrown) {
    throw withFields(thrown, ourField)
  }
}

/** Orders names fields as protobuf does, and some stand elsewhere in a request of ours. */
async function inOurWords<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (thrown) {
    throw withFields(thrown, ourField)
  }
}

function ourField(field: string): string {
  return field
    .replace('idempotency_key', 'header:idempotency-key')
    .replace('after_position', 'header:last-event-id')
    .replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase())
}
