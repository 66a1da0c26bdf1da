import type { Publish } from '#kit/messaging/publisher.ts'
import { done, type Outcome, refused, undone } from '#kit/saga/participant.ts'
import type { AnyTx } from '#kit/store/database.ts'
import type { paymentEvents } from '#mesh/shop/messages.ts'
import type { StockReserved } from '#proto/parley/inventory/v1/events_pb.ts'
import type { OrderCancelled } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment } from '#proto/parley/orders/v1/orders_pb.ts'
import type { ChargePayment, RefundPayment } from '#proto/parley/payments/v1/commands_pb.ts'
import {
  PaymentCapturedSchema,
  PaymentDeclinedSchema,
  PaymentRefundedSchema,
} from '#proto/parley/payments/v1/events_pb.ts'
import type { BankClient } from './bank-client.ts'

/** A payment as it is kept. `cancelled` is a tombstone: nothing of this order was, or will be, told as captured. */
export type PaymentRow = {
  order_id: string
  payment_id: string
  status: 'captured' | 'declined' | 'cancelled' | 'refunded'
  currency: string
  minor_units: bigint
}

/** Where payments are kept. */
export type Payments<T> = {
  /** Keeps the first outcome of an order; false where there is one already. */
  recordCharge(tx: T, row: PaymentRow): Promise<boolean>
  /** Turns a captured payment into a refunded one and gives it; leaves a tombstone where there was none, and gives null. */
  recordCancellation(tx: T, orderId: string, paymentId: string): Promise<PaymentRow | null>
  /** What became of an order's payment; null where nothing did yet. */
  statusOf(tx: T, orderId: string): Promise<PaymentRow['status'] | null>
}

/** What the handlers work with. */
export type Dependencies<T extends AnyTx> = {
  readonly bank: BankClient
  readonly payments: Payments<T>
  readonly publish: Publish<typeof paymentEvents>
}

/**
 * What payments does about events. The bank is asked outside of any transaction, under an id that follows from the order,
 * and it decides between a charge and a cancellation: once it has voided an id, nothing can be charged under it. So whatever
 * comes first, is repeated or is lost, a cancelled order ends without a charge, and what is told of it adds up to nothing.
 */
export function paymentHandlers<T extends AnyTx>({ bank, payments, publish }: Dependencies<T>) {
  return {
    /** Charges an order whose stock is reserved, once: a lost reply is asked again under the same id. */
    async charge({ orderId, total, paymentMethod }: StockReserved): Promise<(tx: T) => Promise<void>> {
      const paymentId = paymentIdOf(orderId)
      const amount = { currency: total?.currency ?? '', minorUnits: total?.minorUnits ?? 0n }
      const answer = await bank.charge(paymentId, amount, paymentMethod)
      return async (tx) => {
        if (answer.kind === 'voided') return
        const { currency, minorUnits } = amount
        const row = { order_id: orderId, payment_id: paymentId, status: answer.kind, currency, minor_units: minorUnits }
        if (!(await payments.recordCharge(tx, row))) return
        if (answer.kind === 'captured') publish(tx, PaymentCapturedSchema, { orderId, paymentId, amount })
        else publish(tx, PaymentDeclinedSchema, { orderId, reason: answer.reason })
      }
    },

    /** Voids the payment of a cancelled order, whatever became of it: also one whose outcome was never known here. */
    stop: {
      // Who leads an order's fulfilment asks for what is to be undone itself.
      ignores: ({ fulfilment }: OrderCancelled) => fulfilment === Fulfilment.ORCHESTRATED,
      async prepare({ orderId }: OrderCancelled): Promise<(tx: T) => Promise<void>> {
        const paymentId = paymentIdOf(orderId)
        await bank.voidPayment(paymentId)
        return async (tx) => {
          const refunded = await payments.recordCancellation(tx, orderId, paymentId)
          if (!refunded) return
          const amount = { currency: refunded.currency, minorUnits: refunded.minor_units }
          publish(tx, PaymentRefundedSchema, { orderId, paymentId, amount })
        }
      },
    },
  }
}

/** What the leader of an order's fulfilment may tell payments: the same work, of which only the leader is told. */
export function paymentCommands<T extends AnyTx>({ bank, payments }: Omit<Dependencies<T>, 'publish'>) {
  return {
    async charge({ orderId, amount, paymentMethod }: ChargePayment): Promise<(tx: T) => Promise<Outcome>> {
      const paymentId = paymentIdOf(orderId)
      const { currency = '', minorUnits = 0n } = amount ?? {}
      const answer = await bank.charge(paymentId, { currency, minorUnits }, paymentMethod)
      return async (tx) => {
        if (answer.kind === 'voided') return refused('the payment was voided before')
        const row = { order_id: orderId, payment_id: paymentId, status: answer.kind, currency, minor_units: minorUnits }
        await payments.recordCharge(tx, row)
        // What was written first holds: it may have been voided since the bank answered.
        const status = await payments.statusOf(tx, orderId)
        if (status === 'captured') return done({ paymentId })
        return refused(answer.kind === 'declined' ? answer.reason : `the payment is ${status}`)
      }
    },

    async refund({ orderId }: RefundPayment): Promise<(tx: T) => Promise<Outcome>> {
      const paymentId = paymentIdOf(orderId)
      await bank.voidPayment(paymentId)
      return async (tx) => {
        await payments.recordCancellation(tx, orderId, paymentId)
        return undone()
      }
    },
  }
}

function paymentIdOf(orderId: string): string {
  return `pay-${orderId}`
}
