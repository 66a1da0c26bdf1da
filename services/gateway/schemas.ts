import { idempotencyHeaders } from '#kit/http/idempotency.ts'

/** What orders takes as the name of a customer, a product or a means of payment. */
const name = {
  type: 'string',
  pattern: '^[A-Za-z0-9._-]{1,64}$',
  description: 'Up to 64 letters, digits, dots, underscores and hyphens.',
} as const

const fulfilment = {
  type: 'string',
  enum: ['choreographed', 'orchestrated'],
  description:
    'Who sees to the order: the services among themselves (the default), or the fulfilment service, which leads them.',
} as const

const paymentMethod = {
  ...name,
  description: `What is charged, such as a token of a card. ${name.description}`,
} as const

/** The products of a new order. */
export const newLines = {
  type: 'array',
  minItems: 1,
  maxItems: 100,
  items: {
    type: 'object',
    required: ['productId', 'quantity'],
    additionalProperties: false,
    properties: { productId: name, quantity: { type: 'integer', minimum: 1, maximum: 1_000 } },
  },
} as const

/** An order as a client asks for it. */
export const newOrderSchema = {
  type: 'object',
  required: ['customerId', 'lines'],
  additionalProperties: false,
  properties: {
    customerId: name,
    lines: newLines,
    paymentMethod,
    fulfilment,
  },
} as const

/** The headers of a new order. */
export const newOrderHeaders = idempotencyHeaders(
  "New for each new order. A second request with it gives the first one's order, for 24 hours.",
)

/** The headers of a stream of updates. */
export const updatesHeaders = {
  type: 'object',
  properties: {
    'last-event-id': { type: 'string', maxLength: 64, description: 'The id of the last event that was read.' },
  },
} as const

/** An amount of money. */
export const moneySchema = {
  type: 'object',
  required: ['currency', 'amount'],
  properties: {
    currency: { type: 'string', description: 'ISO 4217.' },
    amount: { type: 'string', description: 'A decimal, such as 19.99, with as many decimals as the currency has.' },
  },
} as const

/** How far an order is, with what belongs to that. */
export const stateSchema = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', enum: ['placed', 'confirmed', 'shipped', 'cancelled'] },
    reason: { type: 'string', description: 'Why it was cancelled.' },
    trackingNumber: { type: 'string', description: 'Of the parcel that was shipped.' },
  },
} as const

const linesSchema = {
  type: 'array',
  items: {
    type: 'object',
    properties: { productId: { type: 'string' }, quantity: { type: 'integer' }, unitPrice: moneySchema },
  },
} as const

/** What was known of the stock when an order was accepted. */
export const stockCheckSchema = {
  type: 'string',
  enum: ['available', 'unknown'],
  description: 'unknown: inventory could not be asked.',
} as const

/** An order as it is shown. */
export const orderSchema = {
  type: 'object',
  required: ['orderId', 'customerId', 'lines', 'total', 'state', 'stockCheck', 'fulfilment', 'revision', 'placedAt'],
  properties: {
    orderId: { type: 'string' },
    customerId: { type: 'string' },
    lines: linesSchema,
    total: moneySchema,
    state: stateSchema,
    stockCheck: stockCheckSchema,
    fulfilment,
    revision: { type: 'integer', description: 'The number of the last thing that happened to it, from 1.' },
    placedAt: { type: 'string', format: 'date-time' },
  },
} as const

/** Which orders to list. */
export const listQuery = {
  type: 'object',
  required: ['customerId'],
  additionalProperties: false,
  properties: {
    customerId: name,
    limit: { type: 'string', pattern: '^([1-9][0-9]?|100)$', description: '1 to 100; default 20.' },
  },
} as const

/** A customer's orders, the newest first. */
export const orderListSchema = {
  type: 'object',
  required: ['orders'],
  properties: {
    orders: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          orderId: { type: 'string' },
          customerId: { type: 'string' },
          state: { type: 'object', required: ['name'], properties: { name: stateSchema.properties.name } },
          total: moneySchema,
          lineCount: { type: 'integer' },
          revision: { type: 'integer' },
          placedAt: { type: 'string', format: 'date-time' },
        },
      },
    },
  },
} as const

/** A product as it is shown. */
export const productSchema = {
  type: 'object',
  required: ['productId', 'name', 'description', 'price', 'revision'],
  properties: {
    productId: { type: 'string' },
    name: { type: 'string' },
    description: { type: 'string' },
    price: moneySchema,
    revision: { type: 'integer', description: 'Counts its changes, from 1.' },
  },
} as const

/** A page of products. */
export const productsSchema = {
  type: 'object',
  required: ['products'],
  properties: {
    products: { type: 'array', items: productSchema },
    next: { type: 'string', description: 'The `after` of the next page; missing on the last.' },
  },
} as const
