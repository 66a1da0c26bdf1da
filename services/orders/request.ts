import { createHash } from 'node:crypto'
import { invalidArgument, type Violation } from '#kit/errors.ts'
import type { CreateOrderRequest } from '#proto/parley/orders/v1/orders_pb.ts'

const linesMax = 100
const quantityMax = 1_000
const idBytesMax = 64
const keyBytesMax = 255

/** Refuses a request that is wrong whatever the state, with every field that is. Throws `invalid-argument`. */
export function validate(request: CreateOrderRequest): void {
  const { customerId, lines, idempotencyKey, paymentMethod } = request
  const violations: Violation[] = [
    ...lengthOf('customer_id', customerId, 1, idBytesMax),
    ...lengthOf('idempotency_key', idempotencyKey, 1, keyBytesMax),
    ...lengthOf('payment_method', paymentMethod, 0, idBytesMax),
    ...(lines.length >= 1 && lines.length <= linesMax
      ? []
      : [violation('lines', 'out-of-range', `1 to ${linesMax} lines are possible`)]),
    ...lines.flatMap(({ productId, quantity }, index) => [
      ...lengthOf(`lines[${index}].product_id`, productId, 1, idBytesMax),
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
export function requestHash({ lines, paymentMethod }: CreateOrderRequest): string {
  const asked = [paymentMethod, ...lines.map(({ productId, quantity }) => [productId, quantity])]
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

function lengthOf(field: string, value: string, bytesMin: number, bytesMax: number): Violation[] {
  const bytes = Buffer.byteLength(value)
  if (bytes >= bytesMin && bytes <= bytesMax) return []
  return [violation(field, 'length', `It has ${bytes} bytes; ${bytesMin} to ${bytesMax} are possible`)]
}

function violation(field: string, code: string, message: string): Violation {
  return { field, code, message }
}
