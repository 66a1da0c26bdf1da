import type { App } from '#kit/app/lifecycle.ts'
import { idempotencyKeptMs } from '#kit/http/idempotency.ts'
import { PermanentFailure } from '#kit/messaging/dead-letter.ts'
import { sender } from '#kit/messaging/publisher.ts'
import { done, refused, replying, undone } from '#kit/saga/participant.ts'
import type { Database, Tx } from '#kit/store/database.ts'
import { fulfilmentReplies } from '#mesh/shop/messages.ts'
import { orders } from '#mesh/shop.ts'
import type { ProductPut } from '#proto/parley/catalog/v1/events_pb.ts'
import type { StockRejected } from '#proto/parley/inventory/v1/events_pb.ts'
import type { CancelOrder, ConfirmOrder } from '#proto/parley/orders/v1/commands_pb.ts'
import type { PaymentCaptured, PaymentDeclined } from '#proto/parley/payments/v1/events_pb.ts'
import type { ShipmentDispatched } from '#proto/parley/shipping/v1/events_pb.ts'
import type { OrderCommand } from './order.ts'
import {
  command,
  commandIn,
  deleteRequests,
  type OpenOrder,
  type OrdersTables,
  overdueOrders,
  putPrice,
} from './store.ts'

type OrdersTx = Tx<OrdersTables>

/** What the other services' events mean for an order. */
export const reactions = {
  StockRejected: ({ orderId, reason }: StockRejected, tx: OrdersTx) => react(tx, orderId, { kind: 'cancel', reason }),
  PaymentCaptured: ({ orderId }: PaymentCaptured, tx: OrdersTx) => react(tx, orderId, { kind: 'confirm' }),
  PaymentDeclined: ({ orderId, reason }: PaymentDeclined, tx: OrdersTx) =>
    react(tx, orderId, { kind: 'cancel', reason }),
  ShipmentDispatched: ({ orderId, trackingNumber }: ShipmentDispatched, tx: OrdersTx) =>
    react(tx, orderId, { kind: 'ship', trackingNumber }),
}

/** What the catalogue tells: orders are taken at its prices, also while it is away. */
export const productNews = {
  ProductPut: async ({ productId, price, revision }: ProductPut, tx: OrdersTx): Promise<void> => {
    if (!price) throw new PermanentFailure(`The product ${productId} was put without a price.`)
    const { currency, minorUnits } = price
    await putPrice(tx, { product_id: productId, currency, minor_units: minorUnits, revision })
  },
}

async function react(tx: OrdersTx, orderId: string, wanted: OrderCommand): Promise<void> {
  await commandIn(tx, orderId, wanted)
}

const reply = sender(orders, fulfilmentReplies)

/** What the leader of an order's fulfilment may tell it. */
export const commands = {
  ConfirmOrder: replying(reply, async ({ orderId }: ConfirmOrder, tx: OrdersTx) => {
    const { status } = (await commandIn(tx, orderId, { kind: 'confirm' })).state
    return status === 'confirmed' || status === 'shipped' ? done() : refused(`the order is ${status}`)
  }),
  CancelOrder: replying(reply, async ({ orderId, reason }: CancelOrder, tx: OrdersTx) => {
    const { status } = (await commandIn(tx, orderId, { kind: 'cancel', reason })).state
    if (status === 'cancelled' || status === 'none') return undone()
    throw new PermanentFailure(`The order ${orderId} is ${status} and cannot be cancelled any more.`)
  }),
}

const overdueMax = 100

/**
 * Cancels all that has been open for longer than the saga may take, so that every order ends. What others did for it
 * meanwhile they undo at the cancellation.
 */
export async function cancelOverdue(
  database: Database<OrdersTables>,
  now: Date,
  timeoutMs: number,
  { log, stopping }: Pick<App, 'log' | 'stopping'>,
): Promise<void> {
  const before = new Date(now.getTime() - timeoutMs)
  let last: OpenOrder | undefined
  do {
    // After an outage there are thousands, and some may never be cancelled: the next page comes behind them.
    const overdue = await overdueOrders(database.db, before, last, overdueMax)
    for (const { order_id: orderId } of overdue) {
      try {
        await command(database, orderId, { kind: 'cancel', reason: 'timed out' })
        log.warn('The checkout of an order took too long; it was cancelled.', { orderId, timeoutMs })
      } catch (error) {
        // One order that cannot be cancelled now must not keep the others open; it is tried again at the next turn.
        log.error('An overdue order could not be cancelled.', { orderId, error })
      }
    }
    last = overdue.at(overdueMax - 1)
  } while (last && !stopping.aborted)
}

/** Forgets idempotency keys after a day: a client that asks again later than that places a new order. */
export async function forgetRequests(database: Database<OrdersTables>, now: Date): Promise<void> {
  await deleteRequests(database.db, new Date(now.getTime() - idempotencyKeptMs))
}
