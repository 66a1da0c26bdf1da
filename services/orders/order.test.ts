import { create } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import { MoneySchema } from '#proto/parley/money/v1/money_pb.ts'
import { Fulfilment, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'
import { decide, evolve, noOrder, type OrderCommand } from './order.ts'

const place: OrderCommand = {
  kind: 'place',
  orderId: 'o-1',
  customerId: 'c-1',
  items: [],
  total: create(MoneySchema, { currency: 'EUR', minorUnits: 1999n }),
  paymentMethod: 'card',
  stockCheck: StockCheck.AVAILABLE,
  fulfilment: Fulfilment.CHOREOGRAPHED,
}
const confirm: OrderCommand = { kind: 'confirm' }
const cancel: OrderCommand = { kind: 'cancel', reason: 'declined' }
const ship: OrderCommand = { kind: 'ship', trackingNumber: 't-1' }

/** Given these commands so far, when the last one comes, then these events follow. */
function outcome(...commands: OrderCommand[]): { events: string[]; status: string } {
  let state = noOrder
  let last: string[] = []
  for (const command of commands) {
    const events = decide(state, command)
    state = events.reduce(evolve, state)
    last = events.map(({ $typeName }) => $typeName.replace('parley.orders.v1.', ''))
  }
  return { events: last, status: state.status }
}

describe('an order', () => {
  test.each([
    ['is placed', [place], ['OrderPlaced'], 'placed'],
    ['is placed once', [place, place], [], 'placed'],
    ['is confirmed', [place, confirm], ['OrderConfirmed'], 'confirmed'],
    ['is confirmed once', [place, confirm, confirm], [], 'confirmed'],
    ['is cancelled', [place, cancel], ['OrderCancelled'], 'cancelled'],
    ['is not confirmed after it was cancelled', [place, cancel, confirm], [], 'cancelled'],
    ['is not cancelled after the point of no return', [place, confirm, cancel], [], 'confirmed'],
    ['is shipped', [place, confirm, ship], ['OrderShipped'], 'shipped'],
    ['is not shipped before it is confirmed', [place, ship], [], 'placed'],
    ['does not exist before it is placed', [confirm], [], 'none'],
  ] satisfies [string, OrderCommand[], string[], string][])('%s', (_name, commands, events, status) => {
    expect(outcome(...commands)).toEqual({ events, status })
  })
})
