import { create } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Occurrence } from '#kit/streaming/fold.ts'
import { Outcome } from '#proto/parley/analytics/v1/facts_pb.ts'
import {
  OrderCancelledSchema,
  OrderConfirmedSchema,
  OrderPlacedSchema,
  OrderShippedSchema,
} from '#proto/parley/orders/v1/events_pb.ts'
import { PaymentCapturedSchema, PaymentRefundedSchema } from '#proto/parley/payments/v1/events_pb.ts'
import { ShipmentDispatchedSchema } from '#proto/parley/shipping/v1/events_pb.ts'
import { type Fact, orderReactions, paymentReactions, publishedFact, shipmentReactions } from './facts.ts'
import { publishedWindow, shownWindow } from './sales.ts'

const base = Date.parse('2026-11-21T10:00:00Z')
const at = (afterMs: number): Occurrence => ({
  id: `e${afterMs}`,
  type: '',
  key: 'o-1',
  topic: '',
  timeMs: base + afterMs,
})
const total = { currency: 'EUR', minorUnits: 2n ** 60n + 1n }
const order = { orderId: 'o-1', customerId: 'c-1' }

const { OrderPlaced, OrderConfirmed, OrderCancelled, OrderShipped } = orderReactions
const shipped = [
  (fact?: Fact) => OrderPlaced(fact, create(OrderPlacedSchema, { ...order, total }), at(0)),
  (fact?: Fact) =>
    paymentReactions.PaymentCaptured(fact, create(PaymentCapturedSchema, { orderId: 'o-1', paymentId: 'p-1' })),
  (fact?: Fact) => OrderConfirmed(fact, create(OrderConfirmedSchema, { ...order, total }), at(1_500)),
  (fact?: Fact) =>
    shipmentReactions.ShipmentDispatched(fact, create(ShipmentDispatchedSchema, { orderId: 'o-1', shipmentId: 's-1' })),
  (fact?: Fact) => OrderShipped(fact, create(OrderShippedSchema, order), at(9_000)),
]
const cancelled = [
  ...shipped.slice(0, 2),
  (fact?: Fact) => OrderCancelled(fact, create(OrderCancelledSchema, { ...order, reason: 'declined' }), at(2_000)),
  (fact?: Fact) =>
    paymentReactions.PaymentRefunded(
      fact,
      create(PaymentRefundedSchema, { orderId: 'o-1', paymentId: 'p-1', amount: total }),
    ),
]
const known = (events: readonly ((fact?: Fact) => { state?: Fact })[]) =>
  events.reduce<Fact | undefined>((fact, event) => event(fact).state ?? fact, undefined)

describe('a fact', () => {
  test.each([
    ['shipped', shipped],
    ['cancelled', cancelled],
  ])(
    'of an order that is %s is the same whatever the order in which its events come, and however often',
    (_, events) => {
      const whole = JSON.stringify(known(events))
      fc.assert(
        fc.property(fc.array(fc.nat({ max: events.length - 1 })), (extra) => {
          const course = [...extra, ...events.keys()].flatMap((index) => events[index] ?? [])
          expect(JSON.stringify(known(course))).toBe(whole)
        }),
      )
    },
  )

  test('tells how the order went, with durations from when it was placed', () => {
    expect(publishedFact('o-1', known(shipped) ?? {})).toMatchObject({
      ...{ outcome: Outcome.SHIPPED, customerId: 'c-1', confirmedAfterMs: 1_500n, shippedAfterMs: 9_000n },
      ...{ paymentId: 'p-1', shipmentId: 's-1', total: { currency: 'EUR', minorUnits: 2n ** 60n + 1n } },
    })
    expect(publishedFact('o-1', known(cancelled) ?? {})).toMatchObject({
      ...{ outcome: Outcome.CANCELLED, cancelReason: 'declined', cancelledAfterMs: 2_000n },
      refundedMinorUnits: 2n ** 60n + 1n,
    })
  })

  test('is not published before the order is decided', () => {
    expect(publishedFact('o-1', known(shipped.slice(0, 2)) ?? {})).toBeUndefined()
  })
})

describe('a window of sales', () => {
  const window = { startsMs: base, endsMs: base + 60_000, revision: 2, id: 'sales.1' }
  const counts = { placed: 9n, confirmed: 5n, cancelled: 3n, 'revenue.USD': 1n, 'revenue.EUR': 2n ** 60n + 1n }

  test('has its revenue by currency and exact, and the share of cancelled ones as a whole number', () => {
    expect(publishedWindow({ ...window, counts })).toMatchObject({
      ...{ window: '2026-11-21T10:00:00.000Z', revision: 2, placed: 9n, confirmed: 5n, cancelled: 3n },
      revenue: [
        { currency: 'EUR', minorUnits: 2n ** 60n + 1n },
        { currency: 'USD', minorUnits: 1n },
      ],
      cancelledBasisPoints: 3_750,
    })
  })

  test('without a decided order has no share, and is shown as JSON can hold it', () => {
    const shown = shownWindow({ ...window, counts: { placed: 1n } })
    expect(JSON.parse(JSON.stringify(shown))).toEqual({
      placed: 1,
      confirmed: 0,
      cancelled: 0,
      revenue: [],
      cancelledPercent: 0,
    })
    expect(shownWindow({ ...window, counts })).toMatchObject({ cancelledPercent: 37.5 })
  })
})
