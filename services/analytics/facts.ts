/** What is known of an order, put together from the events of three services: pure, and whatever the order in which they come. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { Occurrence, Turn } from '#kit/streaming/fold.ts'
import type { OrderFactSchema } from '#proto/parley/analytics/v1/facts_pb.ts'
import { Outcome } from '#proto/parley/analytics/v1/facts_pb.ts'
import { type Money, MoneySchema } from '#proto/parley/money/v1/money_pb.ts'
import type { OrderCancelled, OrderConfirmed, OrderPlaced, OrderShipped } from '#proto/parley/orders/v1/events_pb.ts'
import type { PaymentCaptured, PaymentRefunded } from '#proto/parley/payments/v1/events_pb.ts'
import type { ShipmentDispatched } from '#proto/parley/shipping/v1/events_pb.ts'

/** What is known of an order. Each part comes from one event and never changes, so the order of the events does not matter. */
export type Fact = {
  readonly customerId?: string
  /** Minor units as text: JSON has no whole numbers of that size. */
  readonly total?: { readonly currency: string; readonly minorUnits: string }
  readonly placedAtMs?: number
  readonly confirmedAtMs?: number
  readonly cancelledAtMs?: number
  readonly cancelReason?: string
  readonly shippedAtMs?: number
  readonly paymentId?: string
  readonly refundedMinorUnits?: string
  readonly shipmentId?: string
}

/** What the orders' events mean: these are what windows count. */
export const orderReactions = {
  OrderPlaced: (fact: Fact | undefined, { customerId, total }: OrderPlaced, { timeMs }: Occurrence): Turn<Fact> => ({
    state: learn(fact, { customerId, placedAtMs: timeMs, ...totalOf(total) }),
    counts: { placed: 1n },
  }),
  OrderConfirmed: (
    fact: Fact | undefined,
    { customerId, total }: OrderConfirmed,
    { timeMs }: Occurrence,
  ): Turn<Fact> => ({
    state: learn(fact, { customerId, confirmedAtMs: timeMs, ...totalOf(total) }),
    counts: { confirmed: 1n, ...(total && { [`${revenuePrefix}${total.currency}`]: total.minorUnits }) },
  }),
  OrderCancelled: (
    fact: Fact | undefined,
    { customerId, reason }: OrderCancelled,
    { timeMs }: Occurrence,
  ): Turn<Fact> => ({
    state: learn(fact, { customerId, cancelledAtMs: timeMs, cancelReason: reason }),
    counts: { cancelled: 1n },
  }),
  OrderShipped: (fact: Fact | undefined, { customerId }: OrderShipped, { timeMs }: Occurrence): Turn<Fact> => ({
    state: learn(fact, { customerId, shippedAtMs: timeMs }),
  }),
}

/** What payments says. Orders that fulfilment leads have no such events, and are facts without. */
export const paymentReactions = {
  PaymentCaptured: (fact: Fact | undefined, { paymentId }: PaymentCaptured): Turn<Fact> => ({
    state: learn(fact, { paymentId }),
  }),
  PaymentRefunded: (fact: Fact | undefined, { paymentId, amount }: PaymentRefunded): Turn<Fact> => ({
    state: learn(fact, { paymentId, ...(amount && { refundedMinorUnits: String(amount.minorUnits) }) }),
  }),
}

/** What shipping says. */
export const shipmentReactions = {
  ShipmentDispatched: (fact: Fact | undefined, { shipmentId }: ShipmentDispatched): Turn<Fact> => ({
    state: learn(fact, { shipmentId }),
  }),
}

/** The counter of a currency's revenue begins with this. */
export const revenuePrefix = 'revenue.'

/** What is known already stays. The fields stand in one order, so that equal facts are equal texts. */
function learn(fact: Fact | undefined, news: Fact): Fact {
  const all: Readonly<Record<string, unknown>> = { ...news, ...fact }
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function totalOf(total: Money | undefined): Pick<Fact, 'total'> {
  return total ? { total: { currency: total.currency, minorUnits: String(total.minorUnits) } } : {}
}

/** How far an order has come. */
function outcomeOf({ placedAtMs, confirmedAtMs, cancelledAtMs, shippedAtMs }: Fact): Outcome {
  if (shippedAtMs !== undefined) return Outcome.SHIPPED
  if (cancelledAtMs !== undefined) return Outcome.CANCELLED
  if (confirmedAtMs !== undefined) return Outcome.CONFIRMED
  return placedAtMs === undefined ? Outcome.UNSPECIFIED : Outcome.PLACED
}

/** The fact as it is published; undefined for an order that is not decided yet. */
export function publishedFact(orderId: string, fact: Fact): MessageInitShape<typeof OrderFactSchema> | undefined {
  const outcome = outcomeOf(fact)
  if (outcome === Outcome.UNSPECIFIED || outcome === Outcome.PLACED) return undefined
  const { total, placedAtMs } = fact
  const after = (timeMs: number | undefined) =>
    timeMs === undefined || placedAtMs === undefined ? 0n : BigInt(Math.max(0, timeMs - placedAtMs))
  return {
    orderId,
    outcome,
    customerId: fact.customerId ?? '',
    ...(total && { total: create(MoneySchema, { currency: total.currency, minorUnits: BigInt(total.minorUnits) }) }),
    ...(placedAtMs !== undefined && { placedAt: timestampFromMs(placedAtMs) }),
    cancelReason: fact.cancelReason ?? '',
    confirmedAfterMs: after(fact.confirmedAtMs),
    cancelledAfterMs: after(fact.cancelledAtMs),
    shippedAfterMs: after(fact.shippedAtMs),
    paymentId: fact.paymentId ?? '',
    refundedMinorUnits: BigInt(fact.refundedMinorUnits ?? '0'),
    shipmentId: fact.shipmentId ?? '',
  }
}
