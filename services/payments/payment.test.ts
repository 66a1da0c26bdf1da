import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { next, type PaymentInput, type PaymentStatus } from './payment.ts'

function statusAfter(...inputs: PaymentInput[]): PaymentStatus {
  return inputs.reduce<PaymentStatus>((status, input) => next(status, input) ?? status, 'due')
}

describe('a payment', () => {
  test.each([
    ['is captured', ['captured'], 'captured'],
    ['is declined', ['declined'], 'declined'],
    ['is never charged after its order was cancelled', ['order-cancelled'], 'cancelled'],
    ['is given back when its order is cancelled', ['captured', 'order-cancelled'], 'refund-due'],
    ['is given back when it was under way as its order was cancelled', ['order-cancelled', 'captured'], 'refund-due'],
    ['is given back once', ['captured', 'order-cancelled', 'refunded', 'order-cancelled', 'captured'], 'refunded'],
    ['stays declined', ['declined', 'captured', 'order-cancelled'], 'declined'],
  ] satisfies [string, PaymentInput[], PaymentStatus][])('%s', (_name, inputs, status) => {
    expect(statusAfter(...inputs)).toBe(status)
  })

  test('never keeps the money of a cancelled order, in whatever order things happen', () => {
    const inputs = fc.array(fc.constantFrom<PaymentInput>('captured', 'declined', 'order-cancelled', 'refunded'), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(inputs, (some) => {
        expect(statusAfter(...some, 'order-cancelled')).not.toBe('captured')
      }),
    )
  })
})
