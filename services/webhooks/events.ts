import type { MessageMeta } from '#kit/messaging/handlers.ts'
import type { AnyTx } from '#kit/store/database.ts'
import { tell } from '#kit/webhooks/queue.ts'
import { orderWebhooks } from '#mesh/shop/messages.ts'
import type { Money } from '#proto/parley/money/v1/money_pb.ts'
import type { OrderCancelled, OrderConfirmed, OrderPlaced, OrderShipped } from '#proto/parley/orders/v1/events_pb.ts'

/** What can be subscribed to. */
export const eventTypes = ['order.placed', 'order.confirmed', 'order.shipped', 'order.cancelled'] as const

/** How subscribers are told: in the words of the public interface, which our own events may move away from. */
export const reactions = {
  OrderPlaced: ({ orderId, customerId, items, total }: OrderPlaced, tx: AnyTx, meta: MessageMeta) =>
    told(tx, meta, 'order.placed', { orderId, customerId, items: items.map(itemJson), total: moneyJson(total) }),
  OrderConfirmed: ({ orderId, customerId, items, total }: OrderConfirmed, tx: AnyTx, meta: MessageMeta) =>
    told(tx, meta, 'order.confirmed', { orderId, customerId, items: items.map(itemJson), total: moneyJson(total) }),
  OrderShipped: ({ orderId, customerId, trackingNumber }: OrderShipped, tx: AnyTx, meta: MessageMeta) =>
    told(tx, meta, 'order.shipped', { orderId, customerId, trackingNumber }),
  OrderCancelled: ({ orderId, customerId, reason }: OrderCancelled, tx: AnyTx, meta: MessageMeta) =>
    told(tx, meta, 'order.cancelled', { orderId, customerId, reason }),
}

async function told(
  tx: AnyTx,
  { id, time }: MessageMeta,
  type: (typeof eventTypes)[number],
  data: object,
): Promise<void> {
  tell(tx, orderWebhooks.name, { id, type, time, data })
}

function itemJson({ productId, quantity, unitPrice }: OrderPlaced['items'][number]): object {
  return { productId, quantity, ...(unitPrice && { unitPrice: moneyJson(unitPrice) }) }
}

function moneyJson(money: Money | undefined): object | undefined {
  return money && { currency: money.currency, minorUnits: Number(money.minorUnits) }
}
