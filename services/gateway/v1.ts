/**
 * Version 1 of the interface, in terms of version 2: what it took and gave before amounts were decimals, before what belongs
 * to a status stood in it, and before `version` could be mistaken for that of the interface.
 */
import type { JsonType } from '#kit/http/json-schema.ts'
import { translation } from '#kit/http/translation.ts'
import type { ProductJson } from './products.ts'
import { quoteSchema } from './quotes.ts'
import { newLines, newOrderSchema, orderSchema, productSchema, productsSchema, stockCheckSchema } from './schemas.ts'
import type { MoneyJson, OrderJson, StateJson, UpdateJson } from './view.ts'

type MoneyV1 = { readonly currency: string; readonly minorUnits: number }
type StatusV1 = { readonly status: string; readonly cancelReason?: string; readonly trackingNumber?: string }

/** An order as version 1 shows it. */
export type OrderV1 = StatusV1 & {
  readonly orderId: string
  readonly customerId: string
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: MoneyV1 }[]
  readonly total: MoneyV1
  readonly stockCheck: string
  readonly fulfilment: string
  readonly version: number
  readonly placedAt: string
}

const moneyV1 = {
  type: 'object',
  required: ['currency', 'minorUnits'],
  properties: { currency: { type: 'string' }, minorUnits: { type: 'integer', description: '1999 is 19.99 EUR.' } },
} as const

const newOrderV1 = {
  ...newOrderSchema,
  required: ['customerId', 'items'],
  properties: {
    customerId: newOrderSchema.properties.customerId,
    items: newLines,
    paymentMethod: newOrderSchema.properties.paymentMethod,
    fulfilment: newOrderSchema.properties.fulfilment,
  },
} as const

const productV1 = { ...productSchema, properties: { ...productSchema.properties, price: moneyV1 } } as const
const productsV1 = {
  ...productsSchema,
  properties: { ...productsSchema.properties, products: { type: 'array', items: productV1 } },
} as const

const { orderId, customerId, fulfilment, placedAt } = orderSchema.properties

const orderV1Schema = {
  type: 'object',
  required: ['orderId', 'customerId', 'items', 'total', 'status', 'stockCheck', 'version', 'placedAt'],
  properties: {
    orderId,
    customerId,
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: { productId: { type: 'string' }, quantity: { type: 'integer' }, unitPrice: moneyV1 },
      },
    },
    total: moneyV1,
    status: orderSchema.properties.state.properties.name,
    stockCheck: stockCheckSchema,
    cancelReason: { type: 'string' },
    trackingNumber: { type: 'string' },
    fulfilment,
    version: { type: 'integer' },
    placedAt,
  },
} as const

/** A new order of version 1 as version 2 takes it. */
export function newOrderFromV1({ items, ...rest }: JsonType<typeof newOrderV1>): JsonType<typeof newOrderSchema> {
  return { ...rest, lines: items }
}

/** An order as version 1 shows it. */
export function orderToV1({ lines, total, state, revision, ...order }: OrderJson): OrderV1 {
  return {
    orderId: order.orderId,
    customerId: order.customerId,
    items: lines.map(({ unitPrice, ...line }) => ({ ...line, unitPrice: moneyToV1(unitPrice) })),
    total: moneyToV1(total),
    status: state.name,
    stockCheck: order.stockCheck,
    ...noted(state),
    fulfilment: order.fulfilment,
    version: revision,
    placedAt: order.placedAt,
  }
}

/** What happened to an order, as version 1 tells it: one note, whatever it is of. */
export function updateToV1({ orderId, revision, state, at }: UpdateJson) {
  const note = state.reason ?? state.trackingNumber
  return { orderId, version: revision, status: state.name, at, ...(note !== undefined && { note }) }
}

/** An amount in minor units: a decimal of ours has as many decimals as its currency. */
export function moneyToV1({ currency, amount }: MoneyJson): MoneyV1 {
  return { currency, minorUnits: Number(amount.replace('.', '')) }
}

const fieldToV1 = (field: string) => field.replace(/^lines/, 'items')

/** How each route of version 1 differs. */
export const v1 = {
  createOrder: translation({
    body: newOrderV1,
    responses: { 201: orderV1Schema },
    request: newOrderFromV1,
    answer: orderToV1,
    field: fieldToV1,
  }),
  getOrder: translation({ responses: { 200: orderV1Schema }, answer: orderToV1 }),
  orderUpdates: translation({ answer: updateToV1 }),
  quoteShipping: translation({
    responses: { 200: { ...quoteSchema, properties: { ...quoteSchema.properties, price: moneyV1 } } },
    answer: ({ price, ...quote }: { readonly price: MoneyJson }) => ({ ...quote, price: moneyToV1(price) }),
  }),
  listProducts: translation({
    responses: { 200: productsV1 },
    answer: ({ products, ...page }: { readonly products: readonly ProductJson[] }) => ({
      products: products.map(productToV1),
      ...page,
    }),
  }),
  getProduct: translation({ responses: { 200: productV1 }, answer: productToV1 }),
} as const

function productToV1({ productId, name, description, price, revision }: ProductJson) {
  return { productId, name, description, price: moneyToV1(price), revision }
}

function noted({ reason, trackingNumber }: StateJson): Omit<StatusV1, 'status'> {
  return { ...(reason && { cancelReason: reason }), ...(trackingNumber && { trackingNumber }) }
}
