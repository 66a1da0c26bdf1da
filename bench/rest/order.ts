import { rest } from '#graph/api.ts'
import { OrderStatus, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'

/** The REST side of the comparison; the gRPC side is the method of the same name. */
export const ordersApi = rest('orders-api', { createOrder: 'POST /orders' })

const text = { type: 'string', minLength: 1, maxLength: 255 } as const

/** What REST checks a body by. */
export const bodySchema = {
  type: 'object',
  required: ['customerId', 'lines', 'paymentMethod'],
  additionalProperties: false,
  properties: {
    customerId: text,
    lines: {
      type: 'array',
      maxItems: 100,
      items: {
        type: 'object',
        required: ['productId', 'quantity'],
        additionalProperties: false,
        properties: { productId: text, quantity: { type: 'integer', minimum: 1 } },
      },
    },
    paymentMethod: text,
  },
} as const

/** An order as it is asked for. */
export type Wanted = {
  readonly customerId: string
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[]
  readonly paymentMethod: string
}

/** What every call asks for. */
export const wanted = {
  customerId: 'c-36a54b3f',
  idempotencyKey: '0b0d3a3e-5bb8-4a5f-8b0c-6d3c1f6e2a10',
  paymentMethod: 'card',
  lines: Array.from({ length: 10 }, (_, index) => ({ productId: `p-${index + 1}`, quantity: 1 + (index % 3) })),
}

const orderId = '36a54b3f-6a97-4775-8b70-17d5c66ca71a'
const placedAt = '2026-01-01T00:00:00.000Z'

/** The answer to it over gRPC. */
export function answered({ customerId, lines }: Wanted) {
  const items = lines.map(({ productId, quantity }) => ({ productId, quantity, unitPrice: price(999n) }))
  const order = { orderId, customerId, items, total: price(18_981n), placedAt, version: 1n }
  return { order: { ...order, status: OrderStatus.PLACED, stockCheck: StockCheck.AVAILABLE }, replayed: false }
}

/** The same over REST, in the words that the shop's gateway uses. */
export function plain({ customerId, lines }: Wanted) {
  const items = lines.map(({ productId, quantity }) => ({ productId, quantity, unitPrice: plainPrice(999) }))
  const order = { orderId, customerId, items, total: plainPrice(18_981), placedAt, version: 1 }
  return { order: { ...order, status: 'placed', stockCheck: 'available' }, replayed: false }
}

function price(minorUnits: bigint) {
  return { currency: 'EUR', minorUnits }
}

function plainPrice(minorUnits: number) {
  return { currency: 'EUR', minorUnits }
}
