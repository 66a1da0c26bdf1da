import { ServiceError } from '#kit/errors.ts'
import type { Money } from '#proto/parley/money/v1/money_pb.ts'
import {
  Fulfilment,
  type Order,
  OrderStatus,
  type OrderStep,
  type OrderSummary,
  type OrderUpdate,
  StockCheck,
} from '#proto/parley/orders/v1/orders_pb.ts'

/** An amount as clients outside see it: a decimal, so that nobody has to know how many a currency has. */
export type MoneyJson = { readonly currency: string; readonly amount: string }

/** How far an order is. A status that a newer version of orders may have and we do not is shown as `unknown`. */
export type StateJson = { readonly name: string; readonly reason?: string; readonly trackingNumber?: string }

/** An order as clients outside see it. */
export type OrderJson = {
  readonly orderId: string
  readonly customerId: string
  readonly lines: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: MoneyJson }[]
  readonly total: MoneyJson
  readonly state: StateJson
  readonly stockCheck: string
  readonly fulfilment: string
  readonly revision: number
  readonly placedAt: string
}

/** One thing that happened to an order. */
export type UpdateJson = {
  readonly orderId: string
  readonly revision: number
  readonly state: StateJson
  readonly at: string
}

const statuses: Readonly<Record<number, string>> = {
  [OrderStatus.PLACED]: 'placed',
  [OrderStatus.CONFIRMED]: 'confirmed',
  [OrderStatus.SHIPPED]: 'shipped',
  [OrderStatus.CANCELLED]: 'cancelled',
}

/** Writes an order in the words of the REST interface. An answer without an order is a fault of ours. */
export function orderJson(order: Order | undefined): OrderJson {
  if (!order) throw new ServiceError('internal', 'Orders answered without an order')
  const { orderId, customerId, items, total, status, stockCheck, version, placedAt } = order
  return {
    orderId,
    customerId,
    lines: items.map(({ productId, quantity, unitPrice }) => ({
      productId,
      quantity,
      unitPrice: moneyJson(unitPrice),
    })),
    total: moneyJson(total),
    state: stateJson(status, order.cancelReason, order.trackingNumber),
    stockCheck: stockCheck === StockCheck.AVAILABLE ? 'available' : 'unknown',
    fulfilment: order.fulfilment === Fulfilment.ORCHESTRATED ? 'orchestrated' : 'choreographed',
    revision: Number(version),
    placedAt,
  }
}

/** Writes an order of a list. */
export function summaryJson({ orderId, customerId, status, total, lines, version, placedAt }: OrderSummary) {
  const state = stateJson(status, '', '')
  return { orderId, customerId, state, total: moneyJson(total), lineCount: lines, revision: Number(version), placedAt }
}

/** Writes one thing that happened to an order. */
export function updateJson({ orderId, version, status, at, note }: OrderUpdate): UpdateJson {
  return { orderId, revision: Number(version), state: notedState(status, note), at }
}

/** Writes one step of an order's history. */
export function stepJson({ version, status, at, note }: OrderStep): Omit<UpdateJson, 'orderId'> {
  return { revision: Number(version), state: notedState(status, note), at }
}

/** Writes an amount. */
export function moneyJson(money: Money | undefined): MoneyJson {
  return decimalMoney(money?.currency ?? '', money?.minorUnits ?? 0n)
}

/** Writes an amount that is given in minor units. */
export function decimalMoney(currency: string, minorUnits: bigint): MoneyJson {
  return { currency, amount: decimal(minorUnits, decimalsOf(currency)) }
}

/** What is noted of an event is why it was cancelled, or the parcel's number. */
function notedState(status: OrderStatus, note: string): StateJson {
  return status === OrderStatus.CANCELLED ? stateJson(status, note, '') : stateJson(status, '', note)
}

function stateJson(status: OrderStatus, reason: string, trackingNumber: string): StateJson {
  return { name: statuses[status] ?? 'unknown', ...(reason && { reason }), ...(trackingNumber && { trackingNumber }) }
}

function decimal(minorUnits: bigint, decimals: number): string {
  const digits = String(minorUnits < 0n ? -minorUnits : minorUnits).padStart(decimals + 1, '0')
  const sign = minorUnits < 0n ? '-' : ''
  return decimals === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
}

const known = new Map<string, number>()

/** How many decimals a currency has (ISO 4217): 2 for EUR, none for JPY. */
function decimalsOf(currency: string): number {
  if (!/^[A-Z]{3}$/.test(currency)) return 2
  const found = known.get(currency)
  if (found !== undefined) return found
  const format = new Intl.NumberFormat('en', { style: 'currency', currency })
  const decimals = format.resolvedOptions().maximumFractionDigits ?? 2
  known.set(currency, decimals)
  return decimals
}
