import { create } from '@bufbuild/protobuf'
import { type Kysely, sql } from 'kysely'
import { publisher } from '#kit/messaging/publisher.ts'
import { type Decided, decideAndAppend, decideIn, fold } from '#kit/store/aggregate.ts'
import { type Database, statement, type Tx } from '#kit/store/database.ts'
import { type EventStore, eventStore, upcast } from '#kit/store/event-store.ts'
import { anyOf } from '#kit/store/kysely.ts'
import { orderEvents } from '#mesh/shop/messages.ts'
import { orders } from '#mesh/shop.ts'
import {
  OrderAcceptedSchema,
  OrderCancelledSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'
import { decide, evolve, noOrder, type OrderCommand, type OrderEvent, type OrderState } from './order.ts'
import type { OrderDetailRow, OrderListRow } from './read-models.ts'

/** The tables of the orders' database; the events are the kit's. */
export type OrdersTables = {
  price: PriceRow
  idempotency: { customer_id: string; key: string; request_hash: string; order_id: string; created_at: Date }
  open_order: OpenOrder
  order_list: OrderListRow
  order_detail: OrderDetailRow
}

type PriceRow = { product_id: string; currency: string; minor_units: bigint; revision: bigint }
type OrdersTx = Tx<OrdersTables>

/** An order that is neither confirmed nor cancelled, where nobody leads it. */
export type OpenOrder = { order_id: string; placed_at: Date }

/** What a client's key stands for. */
export type KnownRequest = { readonly orderId: string; readonly requestHash: string }

const currencyOfOld = 'EUR'

/** The events of orders; those from before lines had prices are read as what would be written today. */
export const events: EventStore<OrderEvent> = eventStore(
  [OrderPlacedSchema, OrderConfirmedSchema, OrderCancelledSchema, OrderShippedSchema],
  [
    upcast(OrderAcceptedSchema, ({ orderId, customerId, lines, totalCents }) =>
      create(OrderPlacedSchema, {
        orderId,
        customerId,
        items: lines.map(({ productId, quantity }) => ({ productId, quantity })),
        total: { currency: currencyOfOld, minorUnits: totalCents },
        paymentMethod: 'card',
        stockCheck: StockCheck.UNKNOWN,
      }),
    ),
  ],
)
const aggregate = { initial: noOrder, evolve }
const publish = publisher(orders, orderEvents)

/** An order with how many events it has and when the first was written. */
export type StoredOrder = { readonly state: OrderState; readonly version: number; readonly placedAt: Date }

/** An order as its events tell it, all or those known by a time; null where there is none. */
export async function readOrder(
  database: Database<OrdersTables>,
  orderId: string,
  asOf?: Date,
): Promise<StoredOrder | null> {
  const stream = await events.read(database, orderId, asOf ? { asOf } : {})
  const [first] = stream.events
  return first ? { state: fold(aggregate, stream.events), version: stream.version, placedAt: first.at } : null
}

/** Places a new order, whose stream nobody can have written to. `also` adds to the same transaction. */
export async function placeOrder(
  database: Database<OrdersTables>,
  order: Extract<OrderCommand, { kind: 'place' }>,
  also: (tx: OrdersTx) => void,
): Promise<StoredOrder> {
  const placed = decide(noOrder, order)
  return database.transaction(async (tx) => {
    also(tx)
    const version = await events.append(tx, order.orderId, 0, placed)
    follow(tx, order.orderId, placed)
    return { state: placed.reduce(evolve, noOrder), version, placedAt: tx.at }
  })
}

/** Gives a command to an order in a transaction of its own, again where an event came in between. */
export async function command(database: Database<OrdersTables>, orderId: string, wanted: OrderCommand): Promise<void> {
  await decideAndAppend(
    database,
    events,
    aggregate,
    orderId,
    (state) => decide(state, wanted),
    (tx, { messages }) => follow(tx, orderId, messages),
  )
}

/** Gives a command to an order within a transaction; what follows is appended and published in it. */
export async function commandIn(
  tx: OrdersTx,
  orderId: string,
  wanted: OrderCommand,
): Promise<Decided<OrderState, OrderEvent>> {
  const decided = await decideIn(tx, events, aggregate, orderId, (state) => decide(state, wanted))
  follow(tx, orderId, decided.messages)
  return decided
}

/** The order that an earlier request with this key placed, or null. */
export async function findRequest(
  db: Kysely<OrdersTables>,
  customerId: string,
  key: string,
): Promise<KnownRequest | null> {
  const row = await db
    .selectFrom('idempotency')
    .select(['order_id', 'request_hash'])
    .where('customer_id', '=', customerId)
    .where('key', '=', key)
    .executeTakeFirst()
  return row ? { orderId: row.order_id, requestHash: row.request_hash } : null
}

const insertRequest = statement(`
  insert into idempotency (customer_id, key, request_hash, order_id, created_at) values ($1, $2, $3, $4, $5)`)

/** Remembers what a key stands for. The commit fails with Postgres' unique violation where a request at the same time was first. */
export function rememberRequest(tx: OrdersTx, customerId: string, key: string, request: KnownRequest): void {
  tx.lastly(insertRequest, () => [customerId, key, request.requestHash, request.orderId, tx.at])
}

/** Forgets the keys of requests that are older than this, a thousand at a time. */
export async function deleteRequests(db: Kysely<OrdersTables>, before: Date): Promise<void> {
  const old = db.selectFrom('idempotency').select(['customer_id', 'key']).where('created_at', '<', before).limit(1_000)
  const some = db
    .deleteFrom('idempotency')
    .where(({ eb, refTuple }) => eb(refTuple('customer_id', 'key'), 'in', old.$asTuple('customer_id', 'key')))
  while ((await some.executeTakeFirst()).numDeletedRows === 1_000n);
}

const listColumns = [
  'order_id',
  'customer_id',
  'status',
  'currency',
  'minor_units',
  'lines',
  'version',
  'placed_at',
] as const

/** The next orders of the list after one, newest first: everyone's, or one customer's. */
export function listPage(
  db: Kysely<OrdersTables>,
  customerId: string,
  after: OrderListRow | undefined,
  limit: number,
): Promise<OrderListRow[]> {
  let query = db.selectFrom('order_list').select(listColumns)
  if (customerId !== '') query = query.where('customer_id', '=', customerId)
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('placed_at', 'order_id'), '<', tuple(after.placed_at, after.order_id)),
    )
  }
  return query.orderBy('placed_at', 'desc').orderBy('order_id', 'desc').limit(limit).execute()
}

/** The detail of an order as the read model has it. */
export async function readDetail(db: Kysely<OrdersTables>, orderId: string): Promise<Buffer | undefined> {
  const found = await db.selectFrom('order_detail').select('content').where('order_id', '=', orderId).executeTakeFirst()
  return found?.content
}

/** The details of many orders in one question; an unknown one is missing. */
export async function readDetails(db: Kysely<OrdersTables>, orderIds: readonly string[]): Promise<Buffer[]> {
  const found = await db.selectFrom('order_detail').select('content').where('order_id', '=', anyOf(orderIds)).execute()
  return found.map(({ content }) => content)
}

/** The details of the newest orders of each of these customers in one question, newest first within a customer. */
export async function readRecent(
  db: Kysely<OrdersTables>,
  customerIds: readonly string[],
  perCustomer: number,
): Promise<Buffer[]> {
  const { rows } = await sql<{ content: Buffer }>`
    select detail.content
    from unnest(${customerIds}::text[]) as wanted (customer_id)
    cross join lateral (
      select order_id, placed_at from order_list
      where order_list.customer_id = wanted.customer_id
      order by placed_at desc, order_id desc limit ${perCustomer}
    ) as recent
    join order_detail as detail using (order_id)
    order by recent.placed_at desc, recent.order_id desc`.execute(db)
  return rows.map(({ content }) => content)
}

/** What these products cost, by id; an unknown one is missing. */
export async function readPrices(
  db: Kysely<OrdersTables>,
  productIds: readonly string[],
): Promise<Map<string, { currency: string; minorUnits: bigint }>> {
  const rows = await db
    .selectFrom('price')
    .select(['product_id', 'currency', 'minor_units'])
    .where('product_id', '=', anyOf(productIds))
    .execute()
  return new Map(
    rows.map(({ product_id, currency, minor_units }) => [product_id, { currency, minorUnits: minor_units }]),
  )
}

/** Takes what a product costs from now on, unless something newer is known. */
export async function putPrice(tx: OrdersTx, price: PriceRow): Promise<void> {
  const { product_id: _key, ...changed } = price
  await tx.db
    .insertInto('price')
    .values(price)
    .onConflict((conflict) =>
      conflict.column('product_id').doUpdateSet(changed).where('price.revision', '<', price.revision),
    )
    .execute()
}

/** The next orders after one, oldest first, that were placed before a time and are still open. */
export function overdueOrders(
  db: Kysely<OrdersTables>,
  before: Date,
  after: OpenOrder | undefined,
  limit: number,
): Promise<OpenOrder[]> {
  let query = db.selectFrom('open_order').select(['order_id', 'placed_at']).where('placed_at', '<', before)
  if (after) {
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('placed_at', 'order_id'), '>', tuple(after.placed_at, after.order_id)),
    )
  }
  return query.orderBy('placed_at').orderBy('order_id').limit(limit).execute()
}

/** When the oldest order that is still open was placed; null where none is. */
export async function oldestOpen(db: Kysely<OrdersTables>): Promise<Date | null> {
  const row = await db
    .selectFrom('open_order')
    .select(({ fn }) => fn.min('placed_at').as('placed_at'))
    .executeTakeFirst()
  return row?.placed_at ?? null
}

const insertOpen = statement('insert into open_order (order_id, placed_at) values ($1, $2)')
const deleteOpen = statement('delete from open_order where order_id = $1')

/** What follows from appended events in the same transaction: they are published, and the list of open orders is kept. */
function follow(tx: OrdersTx, orderId: string, appended: readonly OrderEvent[]): void {
  for (const event of appended) {
    switch (event.$typeName) {
      case 'parley.orders.v1.OrderPlaced':
        publish(tx, OrderPlacedSchema, event)
        // Who leads an order also ends it in time.
        if (event.fulfilment === Fulfilment.ORCHESTRATED) break
        tx.lastly(insertOpen, () => [orderId, tx.at])
        break
      case 'parley.orders.v1.OrderConfirmed':
        publish(tx, OrderConfirmedSchema, event)
        tx.lastly(deleteOpen, () => [orderId])
        break
      case 'parley.orders.v1.OrderCancelled':
        publish(tx, OrderCancelledSchema, event)
        tx.lastly(deleteOpen, () => [orderId])
        break
      case 'parley.orders.v1.OrderShipped':
        publish(tx, OrderShippedSchema, event)
        break
    }
  }
}
