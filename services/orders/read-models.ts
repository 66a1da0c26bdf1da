import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ServiceError } from '#kit/errors.ts'
import type { Projection } from '#kit/store/projection.ts'
import {
  type GetOrderDetailResponse,
  GetOrderDetailResponseSchema,
  type Order,
  OrderSchema,
  OrderStatus,
  OrderStepSchema,
} from '#proto/parley/orders/v1/orders_pb.ts'
import type { OrderEvent } from './order.ts'
import type { OrdersTables } from './store.ts'

/** A line of the list of orders. */
export type OrderListRow = {
  order_id: string
  customer_id: string
  status: OrderStatus
  currency: string
  minor_units: bigint
  lines: number
  version: number
  placed_at: Date
}

/** A whole order with its history, as it is answered: `content` is a `GetOrderDetailResponse`. */
export type OrderDetailRow = { order_id: string; content: Buffer }

/** The list: small rows, with an index for each way in which it is read. */
export const orderList: Projection<OrdersTables, OrderEvent, 'order_list'> = {
  name: 'order_list',
  version: 1,
  columns: `
    order_id text primary key, customer_id text not null, status smallint not null,
    currency text not null, minor_units bigint not null, lines integer not null,
    version integer not null, placed_at timestamptz not null`,
  indexes: ['placed_at desc, order_id desc', 'customer_id, placed_at desc, order_id desc'],
  async apply({ db, table }, { streamId, version, at, message }) {
    const status = statusAfter(message)
    if (message.$typeName !== 'parley.orders.v1.OrderPlaced') {
      await db.updateTable(table).set({ status, version }).where('order_id', '=', streamId).execute()
      return
    }
    const { customerId, items, total } = message
    const amount = { currency: total?.currency ?? '', minor_units: total?.minorUnits ?? 0n }
    const row = { order_id: streamId, customer_id: customerId, status, ...amount, lines: items.length }
    await db
      .insertInto(table)
      .values({ ...row, version, placed_at: at })
      .execute()
  },
}

/** The detail: one row an order, ready to be answered. */
export const orderDetail: Projection<OrdersTables, OrderEvent, 'order_detail'> = {
  name: 'order_detail',
  version: 1,
  columns: 'order_id text primary key, content bytea not null',
  async apply({ db, table }, { streamId, version, at, message }) {
    const found = await db.selectFrom(table).select('content').where('order_id', '=', streamId).executeTakeFirst()
    const before = found && fromBinary(GetOrderDetailResponseSchema, found.content)
    const detail = followed(before, message, version, at)
    const content = Buffer.from(toBinary(GetOrderDetailResponseSchema, detail))
    await db
      .insertInto(table)
      .values({ order_id: streamId, content })
      .onConflict((conflict) => conflict.column('order_id').doUpdateSet({ content }))
      .execute()
  },
}

/** What an order is after an event. */
export function statusAfter(event: OrderEvent): OrderStatus {
  switch (event.$typeName) {
    case 'parley.orders.v1.OrderPlaced':
      return OrderStatus.PLACED
    case 'parley.orders.v1.OrderConfirmed':
      return OrderStatus.CONFIRMED
    case 'parley.orders.v1.OrderCancelled':
      return OrderStatus.CANCELLED
    case 'parley.orders.v1.OrderShipped':
      return OrderStatus.SHIPPED
  }
}

/** What an event adds in words: why, or by which parcel. */
export function noteOf(event: OrderEvent): string {
  switch (event.$typeName) {
    case 'parley.orders.v1.OrderPlaced':
    case 'parley.orders.v1.OrderConfirmed':
      return ''
    case 'parley.orders.v1.OrderCancelled':
      return event.reason
    case 'parley.orders.v1.OrderShipped':
      return event.trackingNumber
  }
}

/** A detail after one more event. */
function followed(
  before: GetOrderDetailResponse | undefined,
  event: OrderEvent,
  version: number,
  at: Date,
): GetOrderDetailResponse {
  const step = { version: BigInt(version), status: statusAfter(event), at: at.toISOString(), note: noteOf(event) }
  const order = orderAfter(before?.order, event, version, at)
  return create(GetOrderDetailResponseSchema, {
    order,
    history: [...(before?.history ?? []), create(OrderStepSchema, step)],
  })
}

function orderAfter(before: Order | undefined, event: OrderEvent, version: number, at: Date): Order {
  const changed = { status: statusAfter(event), version: BigInt(version) }
  if (event.$typeName === 'parley.orders.v1.OrderPlaced') {
    const { orderId, customerId, items, total, stockCheck, fulfilment } = event
    const placed = {
      orderId,
      customerId,
      items,
      stockCheck,
      fulfilment,
      placedAt: at.toISOString(),
      ...(total && { total }),
    }
    return create(OrderSchema, { ...placed, ...changed })
  }
  if (!before) throw new ServiceError('internal', `${event.$typeName} came before its order was placed.`)
  switch (event.$typeName) {
    case 'parley.orders.v1.OrderConfirmed':
      return { ...before, ...changed }
    case 'parley.orders.v1.OrderCancelled':
      return { ...before, ...changed, cancelReason: event.reason }
    case 'parley.orders.v1.OrderShipped':
      return { ...before, ...changed, trackingNumber: event.trackingNumber }
  }
}
