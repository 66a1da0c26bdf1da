import type { Kysely } from 'kysely'
import type { Tx } from '#kit/store/database.ts'

/** The tables of the notifications' database. */
export type NotificationsTables = { customer: { customer_id: string; email_address: string } }

/** Where a customer is written to, or null where they have not registered. */
export async function readAddress(db: Kysely<NotificationsTables>, customerId: string): Promise<string | null> {
  const row = await db
    .selectFrom('customer')
    .select('email_address')
    .where('customer_id', '=', customerId)
    .executeTakeFirst()
  return row?.email_address ?? null
}

/** Remembers where a customer is written to; the newest address counts. */
export async function rememberAddress(
  tx: Tx<NotificationsTables>,
  customerId: string,
  emailAddress: string,
): Promise<void> {
  await tx.db
    .insertInto('customer')
    .values({ customer_id: customerId, email_address: emailAddress })
    .onConflict((conflict) => conflict.column('customer_id').doUpdateSet({ email_address: emailAddress }))
    .execute()
}
