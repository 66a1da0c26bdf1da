/** An order as a client asks for it. */
export const newOrderSchema = {
  type: 'object',
  required: ['customerId', 'items'],
  additionalProperties: false,
  properties: {
    customerId: { type: 'string', minLength: 1, maxLength: 64 },
    items: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        required: ['productId', 'quantity'],
        additionalProperties: false,
        properties: {
          productId: { type: 'string', minLength: 1, maxLength: 64 },
          quantity: { type: 'integer', minimum: 1, maximum: 1_000 },
        },
      },
    },
    paymentMethod: { type: 'string', maxLength: 64, description: 'What is charged, such as a token of a card.' },
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
    version: { type: 'integer' },
    placedAt: { type: 'string', format: 'date-time' },
  },
} as const
