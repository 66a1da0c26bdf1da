import { create } from '@bufbuild/protobuf'
import type { Money } from '#proto/parley/money/v1/money_pb.ts'
import {
  type OrderCancelled,
  OrderCancelledSchema,
  type OrderConfirmed,
  OrderConfirmedSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  type OrderShipped,
  OrderShippedSchema,
} from '#proto/parley/orders/v1/events_pb.ts'
import type { Fulfilment, OrderItem, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'

/** What has happened to an order. These events are the truth; everything else is derived from them. */
export type OrderEvent = OrderPlaced | OrderConfirmed | OrderCancelled | OrderShipped

/** What somebody wants of an order. */
export type OrderCommand =
  | {
      readonly kind: 'place'
      readonly orderId: string
      readonly customerId: string
      readonly items: readonly OrderItem[]
      readonly total: Money
      readonly paymentMethod: string
      readonly stockCheck: StockCheck
      /** Who sees to it; the order's events carry it on. */
      readonly fulfilment: Fulfilment
    }
  | { readonly kind: 'confirm' }
  | { readonly kind: 'cancel'; readonly reason: string }
  | { readonly kind: 'ship'; readonly trackingNumber: string }

/** An order as its events tell it. */
export type OrderState =
  | { readonly status: 'none' }
  | {
      readonly status: 'placed' | 'confirmed' | 'shipped' | 'cancelled'
      readonly placed: OrderPlaced
      readonly cancelReason: string
      readonly trackingNumber: string
    }

/** Before the first event. */
export const noOrder: OrderState = { status: 'none' }

/**
 * What follows from a command: the events to append, none where it changes nothing. A command that comes too late, such
 * as a confirmation after a cancellation, changes nothing: whoever acted on it is undone by the events already there.
 */
export function decide(state: OrderState, command: OrderCommand): OrderEvent[] {
  if (state.status === 'none') return command.kind === 'place' ? [placed(command)] : []
  const { orderId, customerId, items, total, fulfilment } = state.placed
  switch (command.kind) {
    case 'place':
      return []
    case 'confirm':
      if (state.status !== 'placed') return []
      return [create(OrderConfirmedSchema, { orderId, customerId, items, ...(total && { total }), fulfilment })]
    case 'cancel':
      if (state.status !== 'placed') return []
      return [create(OrderCancelledSchema, { orderId, customerId, reason: command.reason, fulfilment })]
    case 'ship':
      if (state.status !== 'confirmed') return []
      return [create(OrderShippedSchema, { orderId, customerId, trackingNumber: command.trackingNumber })]
  }
}

/** The order after an event. */
export function evolve(state: OrderState, event: OrderEvent): OrderState {
  if (event.$typeName === 'parley.orders.v1.OrderPlaced') {
    return { status: 'placed', placed: event, cancelReason: '', trackingNumber: '' }
  }
  if (state.status === 'none') return state
  switch (event.$typeName) {
    case 'parley.orders.v1.OrderConfirmed':
      return { ...state, status: 'confirmed' }
    case 'parley.orders.v1.OrderCancelled':
      return { ...state, status: 'cancelled', cancelReason: event.reason }
    case 'parley.orders.v1.OrderShipped':
      return { ...state, status: 'shipped', trackingNumber: event.trackingNumber }
  }
}

function placed(command: Extract<OrderCommand, { kind: 'place' }>): OrderPlaced {
  const { kind: _kind, items, ...order } = command
  return create(OrderPlacedSchema, { ...order, items: [...items] })
}
