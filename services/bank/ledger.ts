/** An amount as the bank's customers write it. */
export type Amount = { readonly currency: string; readonly minorUnits: number }

/** A charge that the bank has decided on. Its id is the customer's idempotency key. */
export type Charge = {
  readonly id: string
  readonly amount: Amount
  readonly status: 'captured' | 'declined' | 'refunded'
  readonly reason: string
}

/** What the bank knows. A repeated request finds what the first one did. */
export type Ledger = ReturnType<typeof createLedger>

/** Opens an empty ledger. */
export function createLedger() {
  const charges = new Map<string, Charge>()
  return {
    /** Charges once an id: whoever asks again gets the same answer. */
    charge(id: string, amount: Amount, method: string): Charge {
      const known = charges.get(id)
      if (known) return known
      const declined = method.startsWith('card-declined')
      const charge: Charge = {
        id,
        amount,
        status: declined ? 'declined' : 'captured',
        reason: declined ? 'card declined' : '',
      }
      charges.set(id, charge)
      return charge
    },

    /** Gives back what was charged. An id that was never charged is voided: a charge that comes later finds it so. */
    refund(id: string): Charge {
      const charge = charges.get(id) ?? { id, amount: { currency: '', minorUnits: 0 }, status: 'captured', reason: '' }
      const refunded: Charge = charge.status === 'captured' ? { ...charge, status: 'refunded' } : charge
      charges.set(id, refunded)
      return refunded
    },

    /** Every charge, in the order in which they came. */
    list(): Charge[] {
      return [...charges.values()]
    },
  }
}

/** How long the bank takes: tens of milliseconds, three seconds for a slow card. `chance` is from 0 to 1. */
export function latencyMs(method: string, chance: number): number {
  return method.startsWith('card-slow') ? 3_000 : 10 + chance * 40
}
