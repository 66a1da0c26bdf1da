import type { Kysely } from 'kysely'
import type { Tx } from '#kit/store/database.ts'
import { anyOf } from '#kit/store/kysely.ts'

/** The tables of the storefront's database: names alone, for it shows nothing else of customers. */
export type StorefrontTables = { customer: { customer_id: string; name: string } }

/** What these customers are called, by id; one that we have not heard of yet is missing. */
export async function readNames(
  db: Kysely<StorefrontTables>,
  customerIds: readonly string[],
): Promise<Map<string, string>> {
  // Clients give ids. Postgres has no text with a NUL, and would refuse the others with it.
  const wanted = customerIds.filter((id) => !id.includes('\0'))
  const rows = await db
    .selectFrom('customer')
    .select(['customer_id', 'name'])
    .where('customer_id', '=', anyOf(wanted))
    .execute()
  return new Map(rows.map(({ customer_id, name }) => [customer_id, name]))
}

/** Keeps what a customer is called from now on. */
export async function writeName(tx: Tx<StorefrontTables>, customerId: string, name: string): Promise<void> {
  await tx.db
    .insertInto('customer')
    .values({ customer_id: customerId, name })
    .onConflict((conflict) => conflict.column('customer_id').doUpdateSet({ name }))
    .execute()
}
