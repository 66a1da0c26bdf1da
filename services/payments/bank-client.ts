import type { App } from '#kit/app/lifecycle.ts'
import { ServiceError } from '#kit/errors.ts'
import { reach } from '#kit/http/client.ts'
import { bank } from '#mesh/shop/interfaces.ts'
import type { payments } from '#mesh/shop.ts'

/** What the bank said to a charge. */
export type ChargeAnswer =
  | { readonly kind: 'captured' }
  | { readonly kind: 'declined'; readonly reason: string }
  /** The payment was voided before, so nothing was charged. */
  | { readonly kind: 'voided' }

/** The bank in the words of payments. Both calls are idempotent by the payment's id: an unknown outcome is asked again. */
export type BankClient = {
  charge(paymentId: string, amount: { currency: string; minorUnits: bigint }, method: string): Promise<ChargeAnswer>
  /** Resolves when nothing is charged under the id, and nothing ever can be: what was is given back. */
  voidPayment(paymentId: string): Promise<void>
}

/** Opens the way to the bank that the declaration allows. */
export function openBank(app: App<typeof payments>): BankClient {
  const client = reach(app, bank)
  return {
    async charge(id, { currency, minorUnits }, method) {
      const { status, body } = await client.charge({
        params: { id },
        body: { amount: { currency, minorUnits: Number(minorUnits) }, method },
      })
      if (status === 200) return { kind: 'captured' }
      if (status === 409) return { kind: 'voided' }
      if (status === 402) return { kind: 'declined', reason: reasonOf(body) }
      throw new ServiceError('unavailable', `The bank answered ${status} to charge ${id}`)
    },
    async voidPayment(id) {
      const { status } = await client.refund({ params: { id } })
      if (status !== 200) throw new ServiceError('unavailable', `The bank answered ${status} to refund ${id}`)
    },
  }
}

function reasonOf(body: unknown): string {
  const { reason } = (body ?? {}) as { reason?: unknown }
  return typeof reason === 'string' && reason !== '' ? reason.slice(0, 200) : 'declined'
}
