import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type RawBuilder, sql } from 'kysely'
import { ServiceError } from '#kit/errors.ts'
import { anyOf } from '#kit/store/kysely.ts'
import type { Projection } from '#kit/store/projection.ts'
import type { OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'
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
  async apply({ db, table }, events) {
    const placed: (Placed & Change)[] = []
    const changes = new Map<string, Change>()
    for (const { streamId: orderId, version, at, message } of events) {
      const change = { orderId, version, status: statusAfter(message) }
      if (message.$typeName === 'parley.orders.v1.OrderPlaced') placed.push({ ...change, order: message, at })
      else changes.set(orderId, change)
    }
    if (placed.length > 0) await insertLines(placed, sql.table(table)).execute(db)
    if (changes.size > 0) await updateLines([...changes.values()], sql.table(table)).execute(db)
  },
}

type Placed = { readonly order: OrderPlaced; readonly at: Date }
type Change = { readonly orderId: string; readonly version: number; readonly status: OrderStatus }

// As arrays, so that a statement has the same text for any number of orders.
const insertLines = (placed: readonly (Placed & Change)[], table: RawBuilder<unknown>) => sql`
  insert into ${table} (order_id, version, status, placed_at, customer_id, currency, minor_units, lines)
  select * from unnest(
    ${placed.map(({ orderId }) => orderId)}::text[],
    ${placed.map(({ version }) => version)}::integer[],
    ${placed.map(({ status }) => status)}::smallint[],
    ${placed.map(({ at }) => at)}::timestamptz[],
    ${placed.map(({ order }) => order.customerId)}::text[],
    ${placed.map(({ order }) => order.total?.currency ?? '')}::text[],
    ${placed.map(({ order }) => order.total?.minorUnits ?? 0n)}::bigint[],
    ${placed.map(({ order }) => order.items.length)}::integer[])`
const updateLines = (changes: readonly Change[], table: RawBuilder<unknown>) => sql`
  update ${table} as line set version = new.version, status = new.status
  from unnest(
    ${changes.map(({ orderId }) => orderId)}::text[],
    ${changes.map(({ version }) => version)}::integer[],
    ${changes.map(({ status }) => status)}::smallint[]) as new (order_id, version, status)
  where line.order_id = new.order_id`

/** The detail: one row an order, ready to be answered. */
export const orderDetail: Projection<OrdersTables, OrderEvent, 'order_detail'> = {
  name: 'order_detail',
  version: 1,
  columns: 'order_id text primary key, content bytea not null',
  async apply({ db, table }, events) {
    const orderIds = [...new Set(events.map(({ streamId }) => streamId))]
    const found = await db
      .selectFrom(table)
      .select(['order_id', 'content'])
      .where('order_id', '=', anyOf(orderIds))
      .execute()
    const details = new Map(
      found.map(({ order_id, content }) => [order_id, fromBinary(GetOrderDetailResponseSchema, content)]),
    )
    for (const { streamId, message, version, at } of events) {
      details.set(streamId, followed(details.get(streamId), message, version, at))
    }
    const contents = [...details.values()].map((detail) => Buffer.from(toBinary(GetOrderDetailResponseSchema, detail)))
    await sql`
      insert into ${sql.table(table)} (order_id, content)
      select * from unnest(${[...details.keys()]}::text[], ${contents}::bytea[])
      on conflict (order_id) do update set content = excluded.content`.execute(db)
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
