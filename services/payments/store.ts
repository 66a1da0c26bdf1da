import { sql } from 'kysely'
import type { Tx } from '#kit/store/database.ts'
import type { PaymentRow, Payments } from './handlers.ts'

/** The tables of the payments' database. */
export type PaymentsTables = { payment: PaymentRow }

/** The payments in Postgres. Each method is one statement, so that a charge and a cancellation at the same time meet in it. */
export const storedPayments: Payments<Tx<PaymentsTables>> = {
  async recordCharge(tx, row) {
    const inserted = await tx.db
      .insertInto('payment')
      .values(row)
      .onConflict((conflict) => conflict.column('order_id').doNothing())
      .executeTakeFirstOrThrow()
    return inserted.numInsertedOrUpdatedRows === 1n
  },

  async recordCancellation(tx, orderId, paymentId) {
    const { rows } = await sql<PaymentRow>`
      INSERT INTO payment (order_id, payment_id, status, currency, minor_units) VALUES (${orderId}, ${paymentId}, 'cancelled', '', 0)
      ON CONFLICT (order_id) DO UPDATE SET status = 'refunded' WHERE payment.status = 'captured'
      RETURNING order_id, payment_id, status, currency, minor_units`.execute(tx.db)
    const [row] = rows
    return row?.status === 'refunded' ? row : null
  },

  async statusOf(tx, orderId) {
    const query = tx.db.selectFrom('payment').select('status').where('order_id', '=', orderId)
    return (await query.executeTakeFirst())?.status ?? null
  },
}
