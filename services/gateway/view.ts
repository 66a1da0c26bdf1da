import { ServiceError } from '#kit/errors.ts'
import type { Money } from '#proto/parley/money/v1/money_pb.ts'
import { Fulfilment, type Order, OrderStatus, type OrderUpdate, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'

type MoneyJson = { readonly currency: string; readonly minorUnits: number }

/** An order as clients outside see it. */
export type OrderJson = {
  readonly orderId: string
  readonly customerId: string
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: MoneyJson }[]
  readonly total: MoneyJson
  readonly status: string
  readonly stockCheck: string
  readonly cancelReason?: string
  readonly trackingNumber?: string
  readonly fulfilment: string
  readonly version: number
  readonly placedAt: string
}

/** A status that a newer version of orders may have and we do not is shown as `unknown`. */
const statuses: Readonly<Record<number, string>> = {
  [OrderStatus.PLACED]: 'placed',
  [OrderStatus.CONFIRMED]: 'confirmed',
  [OrderStatus.SHIPPED]: 'shipped',
  [OrderStatus.CANCELLED]: 'cancelled',
}

/** Writes an order in the words of the REST interface. An answer without an order is a fault of ours. */
export function orderJson(order: Order | undefined): OrderJson {
  if (!order) throw new ServiceError('internal', 'Orders answered without an order')
  const { orderId, customerId, items, total, status, stockCheck, cancelReason, trackingNumber, version, placedAt } =
    order
  const fulfilment = order.fulfilment === Fulfilment.ORCHESTRATED ? 'orchestrated' : 'choreographed'
  return {
    orderId,
    customerId,
    items: items.map(({ productId, quantity, unitPrice }) => ({
      productId,
      quantity,
      unitPrice: moneyJson(unitPrice),
    })),
    total: moneyJson(total),
    status: statuses[status] ?? 'unknown',
    stockCheck: stockCheck === StockCheck.AVAILABLE ? 'available' : 'unknown',
    ...(cancelReason && { cancelReason }),
    ...(trackingNumber && { trackingNumber }),
    fulfilment,
    version: Number(version),
    placedAt,
  }
}

/** One thing that happened to an order, in the same words. */
export function updateJson({ orderId, version, status, at, note }: OrderUpdate) {
  return { orderId, version: Number(version), status: statuses[status] ?? 'unknown', at, ...(note && { note }) }
}

/** An amount as clients outside see it. */
export function moneyJson(money: Money | undefined): MoneyJson {
  return { currency: money?.currency ?? '', minorUnits: Number(money?.minorUnits ?? 0n) }
}
