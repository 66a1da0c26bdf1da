import { create } from '@bufbuild/protobuf'
import { notFound } from '#kit/errors.ts'
import type { Database } from '#kit/store/database.ts'
import { type Order, OrderSchema, OrderStatus } from '#proto/parley/orders/v1/orders_pb.ts'
import { isName } from './request.ts'
import { type OrdersTables, readOrder, type StoredOrder } from './store.ts'

const statuses = {
  placed: OrderStatus.PLACED,
  confirmed: OrderStatus.CONFIRMED,
  shipped: OrderStatus.SHIPPED,
  cancelled: OrderStatus.CANCELLED,
} as const

/** An order as its events tell it. Throws `not-found`, also for what cannot be the name of an order. */
export async function showOrder(database: Database<OrdersTables>, orderId: string): Promise<Order> {
  return orderView(orderId, isName(orderId) ? await readOrder(database, orderId) : null)
}

/** An order for others to see. Throws `not-found` where nothing was ever placed. */
export function orderView(orderId: string, found: StoredOrder | null): Order {
  if (!found || found.state.status === 'none') throw notFound(`There is no order ${orderId.slice(0, 64)}`)
  const { state, version, placedAt } = found
  const { customerId, items, total, stockCheck, fulfilment } = state.placed
  return create(OrderSchema, {
    orderId,
    customerId,
    items,
    ...(total && { total }),
    status: statuses[state.status],
    stockCheck,
    cancelReason: state.cancelReason,
    trackingNumber: state.trackingNumber,
    version: BigInt(version),
    placedAt: placedAt.toISOString(),
    fulfilment,
  })
}
