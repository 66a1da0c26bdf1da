import type { Kysely } from 'kysely'
import type { Tx } from '#kit/store/database.ts'
import type { PaymentStatus } from './payment.ts'

/** A payment as it is kept. What is still undecided, `due` and `refund-due`, is never stored: the event is delivered again. */
export type StoredStatus = Exclude<PaymentStatus, 'due' | 'refund-due'>

type PaymentRow = { order_id: string; payment_id: string; status: StoredStatus; currency: string; minor_units: bigint }

/** The tables of the payments' database. */
export type PaymentsTables = { payment: PaymentRow }

/** The payment of an order, or null. */
export async function findPayment(db: Kysely<PaymentsTables>, orderId: string): Promise<PaymentRow | null> {
  return (await db.selectFrom('payment').selectAll().where('order_id', '=', orderId).executeTakeFirst()) ?? null
}

/** The payment of an order, locked until the transaction ends, or null. */
export async function lockPayment(tx: Tx<PaymentsTables>, orderId: string): Promise<PaymentRow | null> {
  return (
    (await tx.db.selectFrom('payment').selectAll().where('order_id', '=', orderId).forUpdate().executeTakeFirst()) ??
    null
  )
}

/** Writes a payment, new or moved on. */
export async function savePayment(tx: Tx<PaymentsTables>, row: PaymentRow): Promise<void> {
  const { status } = row
  await tx.db
    .insertInto('payment')
    .values(row)
    .onConflict((conflict) => conflict.column('order_id').doUpdateSet({ status }))
    .execute()
}
