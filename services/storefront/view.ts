import { ServiceError } from '#kit/errors.ts'
import type { Money } from '#proto/parley/money/v1/money_pb.ts'
import { type GetOrderDetailResponse, OrderStatus, type OrderUpdate } from '#proto/parley/orders/v1/orders_pb.ts'

/** An order as the schema has it, but for what others are asked for. */
export type OrderView = ReturnType<typeof orderView>

const statuses: Readonly<Record<number, string>> = {
  [OrderStatus.PLACED]: 'PLACED',
  [OrderStatus.CONFIRMED]: 'CONFIRMED',
  [OrderStatus.SHIPPED]: 'SHIPPED',
  [OrderStatus.CANCELLED]: 'CANCELLED',
}

/** A status that a newer version of orders may have and we do not is shown as `UNKNOWN`. */
const statusView = (status: OrderStatus) => statuses[status] ?? 'UNKNOWN'

/** Writes an order in the words of the schema. An answer without an order is a fault of ours. */
export function orderView({ order, history }: GetOrderDetailResponse) {
  if (!order) throw new ServiceError('internal', 'Orders answered without an order')
  return {
    id: order.orderId,
    customerId: order.customerId,
    items: order.items.map(({ productId, quantity, unitPrice }) => ({
      productId,
      quantity,
      unitPrice: moneyView(unitPrice),
    })),
    total: moneyView(order.total),
    status: statusView(order.status),
    cancelReason: order.cancelReason || null,
    trackingNumber: order.trackingNumber || null,
    version: order.version,
    placedAt: order.placedAt,
    history: history.map(({ version, status, at, note }) => ({
      version,
      status: statusView(status),
      at,
      note: note || null,
    })),
  }
}

/** Writes one thing that happened to an order in the words of the schema. */
export function updateView(position: string, { orderId, version, status, at, note }: OrderUpdate) {
  return { position, orderId, version, status: statusView(status), at, note: note || null }
}

function moneyView(money: Money | undefined) {
  return { currency: money?.currency ?? '', minorUnits: money?.minorUnits ?? 0n }
}
