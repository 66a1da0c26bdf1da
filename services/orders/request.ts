import { createHash } from 'node:crypto'
import { invalidArgument, type Violation } from '#kit/errors.ts'
import { type CreateOrderRequest, Fulfilment, FulfilmentSchema } from '#proto/parley/orders/v1/orders_pb.ts'

const linesMax = 100
const quantityMax = 1_000
const nameCharactersMax = 64
const keyCharactersMax = 255

/** Refuses a request that is wrong whatever the state, with every field that is. Throws `invalid-argument`. */
export function validate(request: CreateOrderRequest): void {
  const { customerId, lines, idempotencyKey, paymentMethod, fulfilment } = request
  const violations: Violation[] = [
    ...nameOf('customer_id', customerId),
    ...keyOf(idempotencyKey),
    ...(paymentMethod === '' ? [] : nameOf('payment_method', paymentMethod)),
    ...(FulfilmentSchema.value[fulfilment]
      ? []
      : [violation('fulfilment', 'out-of-range', `There is no fulfilment ${fulfilment}`)]),
    ...(lines.length >= 1 && lines.length <= linesMax
      ? []
      : [violation('lines', 'out-of-range', `1 to ${linesMax} lines are possible`)]),
    // No more than are possible: a request has room for millions, each of them wrong.
    ...lines
      .slice(0, linesMax)
      .flatMap(({ productId, quantity }, index) => [
        ...nameOf(`lines[${index}].product_id`, productId),
        ...(quantity >= 1 && quantity <= quantityMax
          ? []
          : [
              violation(
                `lines[${index}].quantity`,
                'out-of-range',
                `The quantity is ${quantity}; 1 to ${quantityMax} are possible`,
              ),
            ]),
      ]),
  ]
  if (violations.length > 0) throw invalidArgument('The order cannot be placed as it is', ...violations)
}

/** What tells two requests under one key apart: all that they ask. */
export function requestHash({ lines, paymentMethod, fulfilment }: CreateOrderRequest): string {
  // Only where it is asked for: hashes that are kept know of no other way.
  const led = fulfilment === Fulfilment.ORCHESTRATED ? [fulfilment] : []
  const asked = [paymentMethod, ...led, ...lines.map(({ productId, quantity }) => [productId, quantity])]
  return createHash('sha256').update(JSON.stringify(asked)).digest('base64url')
}

/** A violation for every line whose product nobody sells. */
export function unknownProducts(request: CreateOrderRequest, known: ReadonlyMap<string, unknown>): Violation[] {
  return request.lines.flatMap(({ productId }, index) =>
    known.has(productId)
      ? []
      : [violation(`lines[${index}].product_id`, 'unknown-product', `There is no product ${productId}`)],
  )
}

/** Names become parts of keys, addresses and headers elsewhere, so they hold nothing that means something there. */
function nameOf(field: string, value: string): Violation[] {
  if (isName(value)) return []
  return [violation(field, 'format', `Use 1 to ${nameCharactersMax} letters, digits, dots, dashes or underscores`)]
}

/** Whether a text can be the name of a customer, a product, an order or a means of payment. */
export function isName(value: string): boolean {
  return value.length <= nameCharactersMax && /^[A-Za-z0-9._-]+$/.test(value)
}

function keyOf(key: string): Violation[] {
  if (key.length <= keyCharactersMax && /^[\x20-\x7e]+$/.test(key)) return []
  return [violation('idempotency_key', 'format', `Use 1 to ${keyCharactersMax} printable ASCII characters`)]
}

function violation(field: string, code: string, message: string): Violation {
  return { field, code, message }
}
