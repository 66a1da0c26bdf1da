/** How far a payment is. It only ever moves along the arrows of `next`. */
export type PaymentStatus = 'due' | 'captured' | 'declined' | 'cancelled' | 'refund-due' | 'refunded'

/** What happens to a payment. */
export type PaymentInput = 'captured' | 'declined' | 'order-cancelled' | 'refunded'

/**
 * The payment's next status; null where the input changes nothing. A cancellation that finds the payment charged asks
 * for a refund; one that finds it undecided stops it, and a capture that was under way is given back when it is known.
 */
export function next(status: PaymentStatus, input: PaymentInput): PaymentStatus | null {
  return transitions[status][input] ?? null
}

const transitions: Readonly<Record<PaymentStatus, Readonly<Partial<Record<PaymentInput, PaymentStatus>>>>> = {
  due: { captured: 'captured', declined: 'declined', 'order-cancelled': 'cancelled' },
  captured: { 'order-cancelled': 'refund-due' },
  cancelled: { captured: 'refund-due' },
  'refund-due': { refunded: 'refunded' },
  declined: {},
  refunded: {},
}
