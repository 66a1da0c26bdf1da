import { create } from '@bufbuild/protobuf'
import { invalidArgument, notFound } from '#kit/errors.ts'
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

/**
 * An order as its events tell it, or as they told it at a time (RFC 3339; empty for now). Throws `not-found`, also for what
 * cannot be the name of an order and for one that was not placed yet.
 */
export async function showOrder(database: Database<OrdersTables>, orderId: string, asOf = ''): Promise<Order> {
  const moment = asOf === '' ? undefined : momentOf(asOf)
  return orderView(orderId, isName(orderId) ? await readOrder(database, orderId, moment) : null)
}

/** The moment that a text in RFC 3339 names. Throws `invalid-argument` for any other text. */
export function momentOf(text: string): Date {
  const [, day = ''] = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? []
  const moment = new Date(text)
  // Of a day that the month does not have, a Date makes one of the next month.
  if (isDay(day) && !Number.isNaN(moment.getTime())) return moment
  throw invalidArgument('The time is wrong', {
    field: 'as_of',
    code: 'format',
    message: 'Use RFC 3339, such as 2026-01-31T12:00:00Z',
  })
}

function isDay(text: string): boolean {
  const midnight = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(text)
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
