import { fromBinary } from '@bufbuild/protobuf'
import { invalidArgument, notFound, withFields } from '#kit/errors.ts'
import type { Database } from '#kit/store/database.ts'
import type { EventFeed, Followed } from '#kit/store/event-feed.ts'
import { type LoggedEvent, logPositionPattern, logStart, UnknownEvent } from '#kit/store/event-store.ts'
import {
  type BatchGetOrderDetailsRequest,
  type GetOrderDetailResponse,
  GetOrderDetailResponseSchema,
  type ListOrdersRequest,
  type ListRecentOrdersRequest,
  OrderStatus,
  type StreamOrderUpdatesRequest,
} from '#proto/parley/orders/v1/orders_pb.ts'
import type { OrderEvent } from './order.ts'
import { noteOf, type OrderListRow, statusAfter } from './read-models.ts'
import { isName } from './request.ts'
import { listPage, type OrdersTables, readDetail, readDetails, readRecent } from './store.ts'

const limitDefault = 1_000
const limitMax = 100_000
const pageMax = 200
const batchMax = 100
const perCustomerMax = 50
/** So many orders of the largest size fit into one answer. */
const recentMax = 400

/** The list of orders, newest first, read page by page as the caller takes it. */
export async function* listOrders({ customerId, limit }: ListOrdersRequest, database: Database<OrdersTables>) {
  if (customerId !== '' && !isName(customerId)) throw wrong('customer_id', 'Use a name of a customer, or nothing')
  if (limit < 0 || limit > limitMax) throw wrong('limit', `0 to ${limitMax} are possible`)
  let left = limit === 0 ? limitDefault : limit
  let last: OrderListRow | undefined
  while (left > 0) {
    const wanted = Math.min(left, pageMax)
    const page: readonly OrderListRow[] = await listPage(database.db, customerId, last, wanted)
    for (const row of page) yield { order: summary(row) }
    left = page.length < wanted ? 0 : left - page.length
    last = page.at(-1)
  }
}

/** An order with its history, from the read model. Throws `not-found`, also for an order of the last moments. */
export async function getOrderDetail(
  orderId: string,
  database: Database<OrdersTables>,
): Promise<GetOrderDetailResponse> {
  const content = isName(orderId) ? await readDetail(database.db, orderId) : undefined
  if (!content) throw notFound(`There is no order ${orderId.slice(0, 64)}`)
  return detailOf(content)
}

/** Many orders at once, those that there are, in one question to the read model. */
export async function batchGetOrderDetails(
  { orderIds }: BatchGetOrderDetailsRequest,
  database: Database<OrdersTables>,
): Promise<{ orders: GetOrderDetailResponse[] }> {
  if (orderIds.length < 1 || orderIds.length > batchMax) throw wrong('order_ids', `1 to ${batchMax} are possible`)
  const contents = await readDetails(database.db, [...new Set(orderIds.filter(isName))])
  return { orders: contents.map(detailOf) }
}

/** The newest orders of several customers at once, in one question to the read models. */
export async function listRecentOrders(
  { customerIds, perCustomer }: ListRecentOrdersRequest,
  database: Database<OrdersTables>,
): Promise<{ orders: GetOrderDetailResponse[] }> {
  const wanted = [...new Set(customerIds)]
  if (wanted.length < 1 || wanted.length > batchMax) throw wrong('customer_ids', `1 to ${batchMax} are possible`)
  if (perCustomer < 1 || perCustomer > perCustomerMax)
    throw wrong('per_customer', `1 to ${perCustomerMax} are possible`)
  if (wanted.length * perCustomer > recentMax)
    throw wrong('per_customer', `${recentMax} orders of all customers together are possible`)
  const contents = await readRecent(database.db, wanted.filter(isName), perCustomer)
  return { orders: contents.map(detailOf) }
}

function detailOf(content: Buffer): GetOrderDetailResponse {
  return fromBinary(GetOrderDetailResponseSchema, content)
}

/** What happens to orders, as it happens. */
export async function* streamOrderUpdates(
  request: StreamOrderUpdatesRequest,
  feed: Pick<EventFeed<OrderEvent>, 'follow'>,
) {
  const { orderId, afterPosition, untilNow } = request
  if (orderId !== '' && !isName(orderId)) throw wrong('order_id', 'Use the id of an order, or nothing')
  if (afterPosition !== '' && !logPositionPattern.test(afterPosition)) {
    throw wrong('after_position', 'Use a position that an earlier answer gave, or nothing')
  }
  const after = afterPosition === '' ? logStart : afterPosition
  try {
    for await (const heard of feed.follow({ after, untilNow, ...(orderId !== '' && { streamId: orderId }) })) {
      yield updateOf(heard)
    }
  } catch (thrown) {
    throw withFields(thrown, () => 'after_position')
  }
}

function updateOf(heard: Followed<OrderEvent>) {
  const { position } = heard
  if (heard.kind === 'alive') return { position }
  const { streamId, version, at, correlationId } = heard.event
  const what = whatOf(heard.event)
  const where = { orderId: streamId, version: BigInt(version), at: at.toISOString(), correlationId }
  return { position, update: { ...where, ...what } }
}

/** A newer version may have written it: that something happened is told all the same, for nobody could get past it. */
function whatOf(event: LoggedEvent<OrderEvent>) {
  try {
    return { status: statusAfter(event.message), note: noteOf(event.message) }
  } catch (thrown) {
    if (thrown instanceof UnknownEvent) return { status: OrderStatus.UNSPECIFIED, note: '' }
    throw thrown
  }
}

function summary(row: OrderListRow) {
  const { order_id, customer_id, status, currency, minor_units, lines, version, placed_at } = row
  const total = { currency, minorUnits: minor_units }
  const facts = { orderId: order_id, customerId: customer_id, status, total, lines }
  return { ...facts, version: BigInt(version), placedAt: placed_at.toISOString() }
}

function wrong(field: string, message: string) {
  return invalidArgument('The request is wrong', { field, code: 'format', message })
}
