/** What orders takes as the name of a customer, a product or a means of payment. */
const name = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' } as const

const fulfilment = {
  type: 'string',
  enum: ['choreographed', 'orchestrated'],
  description:
    'Who sees to the order: the services among themselves (the default), or the fulfilment service, which leads them.',
} as const

/** An order as a client asks for it. */
export const newOrderSchema = {
  type: 'object',
  required: ['customerId', 'items'],
  additionalProperties: false,
  properties: {
    customerId: name,
    items: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        required: ['productId', 'quantity'],
        additionalProperties: false,
        properties: {
          productId: name,
          quantity: { type: 'integer', minimum: 1, maximum: 1_000 },
        },
      },
    },
    paymentMethod: { ...name, description: 'What is charged, such as a token of a card.' },
    fulfilment,
  },
} as const

/** The headers of a new order. */
export const newOrderHeaders = {
  type: 'object',
  required: ['idempotency-key'],
  properties: {
    'idempotency-key': {
      type: 'string',
      minLength: 1,
      maxLength: 255,
      description: "New for each new order. A second request with it gives the first one's order.",
    },
  },
} as const

/** The headers of a stream of updates. */
export const updatesHeaders = {
  type: 'object',
  properties: {
    'last-event-id': { type: 'string', maxLength: 64, description: 'The id of the last event that was read.' },
  },
} as const

const money = {
  type: 'object',
  required: ['currency', 'minorUnits'],
  properties: { currency: { type: 'string' }, minorUnits: { type: 'integer', description: '1999 is 19.99 EUR.' } },
} as const

/** An order as it is shown. */
export const orderSchema = {
  type: 'object',
  required: ['orderId', 'customerId', 'items', 'total', 'status', 'stockCheck', 'version', 'placedAt'],
  properties: {
    orderId: { type: 'string' },
    customerId: { type: 'string' },
    items: {
      type: 'array',
      items: {
        type: 'object',
        properties: { productId: { type: 'string' }, quantity: { type: 'integer' }, unitPrice: money },
      },
    },
    total: money,
    status: { type: 'string', enum: ['placed', 'confirmed', 'shipped', 'cancelled'] },
    stockCheck: {
      type: 'string',
      enum: ['available', 'unknown'],
      description: 'unknown: inventory could not be asked.',
    },
    cancelReason: { type: 'string' },
    trackingNumber: { type: 'string' },
    fulfilment,
    version: { type: 'integer' },
    placedAt: { type: 'string', format: 'date-time' },
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
    price: money,
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

/** What is answered when it went wrong (RFC 9457). */
export const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', description: 'Stable; see the reference of error codes.' },
    correlationId: { type: 'string' },
    errors: { type: 'array', items: { type: 'object' } },
  },
} as const
