import { create } from '@bufbuild/protobuf'
import { expect, test } from '@jest/globals'
import { CreateOrderRequestSchema } from '#proto/parley/orders/v1/orders_pb.ts'
import { validate } from './request.ts'

test('an order with more lines than are possible is refused without a look at each', () => {
  const lines = Array.from({ length: 200_000 }, () => ({}))
  const order = create(CreateOrderRequestSchema, { customerId: 'ann', idempotencyKey: 'k', lines })
  let violations: readonly { readonly field: string }[] = []
  try {
    validate(order)
  } catch (error) {
    violations = (error as { violations: typeof violations }).violations
  }
  expect(violations[0]).toMatchObject({ field: 'lines', code: 'out-of-range' })
  expect(violations.length).toBeLessThanOrEqual(1 + 2 * 100)
})
