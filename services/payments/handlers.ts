import { ServiceError } from '#kit/errors.ts'
import { publisher } from '#kit/messaging/publisher.ts'
import type { Database, Tx } from '#kit/store/database.ts'
import { paymentEvents, payments } from '#mesh/shop.ts'
import type { StockReserved } from '#proto/parley/inventory/v1/events_pb.ts'
import type { OrderCancelled } from '#proto/parley/orders/v1/events_pb.ts'
import {
  PaymentCapturedSchema,
  PaymentDeclinedSchema,
  PaymentRefundedSchema,
} from '#proto/parley/payments/v1/events_pb.ts'
import type { BankClient, ChargeAnswer } from './bank-client.ts'
import { next } from './payment.ts'
import { findPayment, lockPayment, type PaymentsTables, savePayment } from './store.ts'

const publish = publisher(payments, paymentEvents)

/** What is done about an event in one transaction, once the bank has answered. */
type Effect = (tx: Tx<PaymentsTables>) => Promise<void>

/**
 * Charges an order whose stock is reserved. The bank is asked outside of any transaction, under an id that follows from
 * the order: asked again after a lost reply or a crash it gives the same answer, so a charge happens once.
 */
export async function charge(
  event: StockReserved,
  database: Database<PaymentsTables>,
  bank: BankClient,
): Promise<Effect> {
  const { orderId } = event
  const paymentId = paymentIdOf(orderId)
  const amount = { currency: event.total?.currency ?? '', minorUnits: event.total?.minorUnits ?? 0n }
  const known = await findPayment(database.db, orderId)
  if (known) {
    // A cancellation came first. A charge may have gone out before this event was delivered again: it is given back.
    if (known.status === 'cancelled') await bank.refund(paymentId)
    return async () => {}
  }
  const answer = await bank.charge(paymentId, amount, event.paymentMethod)
  return async (tx) => {
    if (await lockPayment(tx, orderId)) throw overtaken(orderId)
    await savePayment(tx, {
      order_id: orderId,
      payment_id: paymentId,
      status: answer.kind,
      currency: amount.currency,
      minor_units: amount.minorUnits,
    })
    announce(tx, orderId, answer, amount)
  }
}

/** Stops the payment of a cancelled order: gives back what was charged, or leaves a tombstone where nothing was yet. */
export async function stop(
  { orderId }: OrderCancelled,
  database: Database<PaymentsTables>,
  bank: BankClient,
): Promise<Effect> {
  const paymentId = paymentIdOf(orderId)
  const known = await findPayment(database.db, orderId)
  if (known?.status === 'captured') await bank.refund(paymentId)
  return async (tx) => {
    const current = await lockPayment(tx, orderId)
    if (!current)
      return savePayment(tx, {
        order_id: orderId,
        payment_id: paymentId,
        status: 'cancelled',
        currency: '',
        minor_units: 0n,
      })
    if (next(current.status, 'order-cancelled') !== 'refund-due') return
    // It was captured after the bank was last asked: the event is delivered again, and then it is seen.
    if (known?.status !== 'captured') throw overtaken(orderId)
    await savePayment(tx, { ...current, status: 'refunded' })
    publish(tx, PaymentRefundedSchema, {
      orderId,
      paymentId,
      amount: { currency: current.currency, minorUnits: current.minor_units },
    })
  }
}

function announce(
  tx: Tx<PaymentsTables>,
  orderId: string,
  answer: ChargeAnswer,
  amount: { currency: string; minorUnits: bigint },
): void {
  if (answer.kind === 'declined') publish(tx, PaymentDeclinedSchema, { orderId, reason: answer.reason })
  else publish(tx, PaymentCapturedSchema, { orderId, paymentId: paymentIdOf(orderId), amount })
}

function paymentIdOf(orderId: string): string {
  return `pay-${orderId}`
}

function overtaken(orderId: string): ServiceError {
  return new ServiceError(
    'unavailable',
    `The payment of ${orderId} was changed while the bank was asked; it is looked at again`,
  )
}
