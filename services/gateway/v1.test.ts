/** Version 1 says what it always said, and nothing of version 2 is lost on the way to it. */
import { create } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  Fulfilment,
  type Order,
  OrderSchema,
  OrderStatus,
  OrderUpdateSchema,
  StockCheck,
} from '#proto/parley/orders/v1/orders_pb.ts'
import { moneyToV1, newOrderFromV1, type OrderV1, orderToV1, updateToV1 } from './v1.ts'
import { type MoneyJson, moneyJson, type OrderJson, orderJson, updateJson } from './view.ts'

const money = (currency: string, minorUnits: bigint) =>
  moneyJson({ $typeName: 'parley.money.v1.Money', currency, minorUnits })

const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,20}$/)
const amount = fc
  .tuple(fc.constantFrom('EUR', 'JPY', 'KWD', 'USD'), fc.bigInt(-(2n ** 50n), 2n ** 50n))
  .map(([currency, minorUnits]) => money(currency, minorUnits))
const state = fc.oneof(
  fc.constantFrom('placed', 'confirmed', 'unknown').map((each) => ({ name: each })),
  name.map((trackingNumber) => ({ name: 'shipped', trackingNumber })),
  name.map((reason) => ({ name: 'cancelled', reason })),
)
const order: fc.Arbitrary<OrderJson> = fc.record({
  orderId: name,
  customerId: name,
  lines: fc.array(fc.record({ productId: name, quantity: fc.nat(), unitPrice: amount }), { maxLength: 5 }),
  total: amount,
  state,
  stockCheck: fc.constantFrom('available', 'unknown'),
  fulfilment: fc.constantFrom('choreographed', 'orchestrated'),
  revision: fc.nat(),
  placedAt: name,
})

describe('nothing is lost', () => {
  test('of an order: version 1 tells as much as version 2', () => {
    fc.assert(fc.property(order, (shown) => expect(fromV1(orderToV1(shown))).toEqual(shown)))
  })

  test('of a new order: what version 1 asks for is what is placed', () => {
    const asked = fc.record(
      {
        customerId: name,
        items: fc.array(fc.record({ productId: name, quantity: fc.nat() })),
        paymentMethod: name,
        fulfilment: fc.constantFrom('choreographed' as const, 'orchestrated' as const),
      },
      { requiredKeys: ['customerId', 'items'] },
    )
    fc.assert(
      fc.property(asked, (body) => {
        const { lines, ...rest } = newOrderFromV1(body)
        expect({ ...rest, items: lines }).toEqual(body)
      }),
    )
  })

  test('of an amount, whatever its currency has for decimals', () => {
    expect([money('EUR', 1999n), money('JPY', 1999n), money('KWD', 1999n), money('EUR', -5n)]).toEqual([
      { currency: 'EUR', amount: '19.99' },
      { currency: 'JPY', amount: '1999' },
      { currency: 'KWD', amount: '1.999' },
      { currency: 'EUR', amount: '-0.05' },
    ])
    fc.assert(fc.property(amount, (shown) => expect(moneyFromV1(moneyToV1(shown))).toEqual(shown)))
  })
})

/** Taken from what the gateway answered when version 1 was its only one: clients may compare bytes. */
describe('version 1 byte for byte', () => {
  const base = {
    orderId: 'o-1',
    customerId: 'c-1',
    items: [{ productId: 'p-1', quantity: 2, unitPrice: { currency: 'EUR', minorUnits: 749n } }],
    total: { currency: 'EUR', minorUnits: 1498n },
    placedAt: '2026-11-21T00:00:00.000Z',
  }
  const start =
    '{"orderId":"o-1","customerId":"c-1","items":[{"productId":"p-1","quantity":2,"unitPrice":{"currency":"EUR","minorUnits":749}}],"total":{"currency":"EUR","minorUnits":1498}'
  const cases: [string, Partial<Order>, string][] = [
    [
      'placed',
      { status: OrderStatus.PLACED, stockCheck: StockCheck.AVAILABLE, version: 1n },
      '"status":"placed","stockCheck":"available","fulfilment":"choreographed","version":1',
    ],
    [
      'cancelled',
      {
        status: OrderStatus.CANCELLED,
        cancelReason: 'card declined',
        version: 2n,
        fulfilment: Fulfilment.ORCHESTRATED,
      },
      '"status":"cancelled","stockCheck":"unknown","cancelReason":"card declined","fulfilment":"orchestrated","version":2',
    ],
    [
      'shipped',
      { status: OrderStatus.SHIPPED, stockCheck: StockCheck.AVAILABLE, trackingNumber: 'PLY1', version: 3n },
      '"status":"shipped","stockCheck":"available","trackingNumber":"PLY1","fulfilment":"choreographed","version":3',
    ],
  ]
  test.each(cases)('an order that is %s', (_what, more, middle) => {
    const shown = orderToV1(orderJson(create(OrderSchema, { ...base, ...more } as never)))
    expect(JSON.stringify(shown)).toBe(`${start},${middle},"placedAt":"2026-11-21T00:00:00.000Z"}`)
  })

  test('an update', () => {
    const update = (status: OrderStatus, note: string) =>
      JSON.stringify(
        updateToV1(updateJson(create(OrderUpdateSchema, { orderId: 'o-1', version: 2n, status, at: 't', note }))),
      )
    expect(update(OrderStatus.CONFIRMED, '')).toBe('{"orderId":"o-1","version":2,"status":"confirmed","at":"t"}')
    expect(update(OrderStatus.SHIPPED, 'PLY1')).toBe(
      '{"orderId":"o-1","version":2,"status":"shipped","at":"t","note":"PLY1"}',
    )
    expect(update(OrderStatus.CANCELLED, 'why')).toContain('"note":"why"')
  })
})

function fromV1({ items, total, status, cancelReason, trackingNumber, version, ...order }: OrderV1): OrderJson {
  return {
    ...order,
    lines: items.map(({ unitPrice, ...line }) => ({ ...line, unitPrice: moneyFromV1(unitPrice) })),
    total: moneyFromV1(total),
    state: { name: status, ...(cancelReason && { reason: cancelReason }), ...(trackingNumber && { trackingNumber }) },
    revision: version,
  }
}

function moneyFromV1({ currency, minorUnits }: { currency: string; minorUnits: number }): MoneyJson {
  return money(currency, BigInt(minorUnits))
}
