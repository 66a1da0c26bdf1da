import type { Kysely } from 'kysely'
import type { Tx } from '#kit/store/database.ts'
import type { NewCustomer } from './customer.ts'

/** The tables of the customers' database. */
export type CustomersTables = {
  customer: { customer_id: string; name: string; email_address: string; email_key: string; registered_at: Date }
  idempotency: { key: string; request_hash: string; customer_id: string; created_at: Date }
}

/** A customer as they are shown. */
export type Customer = {
  readonly customerId: string
  readonly name: string
  readonly emailAddress: string
  readonly registeredAt: string
}

/** What a client's key stands for. */
export type KnownRequest = { readonly customerId: string; readonly requestHash: string }

/** A customer, or null where there is none. */
export async function readCustomerById(db: Kysely<CustomersTables>, customerId: string): Promise<Customer | null> {
  if (!/^[0-9a-f-]{36}$/.test(customerId)) return null
  const row = await db.selectFrom('customer').selectAll().where('customer_id', '=', customerId).executeTakeFirst()
  if (!row) return null
  const { customer_id, name, email_address, registered_at } = row
  return { customerId: customer_id, name, emailAddress: email_address, registeredAt: registered_at.toISOString() }
}

/** Writes a customer. Rejects with Postgres' violation of `customer_email` where the address is another's. */
export async function insertCustomer(
  tx: Tx<CustomersTables>,
  customerId: string,
  { name, emailAddress, emailKey }: NewCustomer,
): Promise<void> {
  const row = { customer_id: customerId, name, email_address: emailAddress, email_key: emailKey, registered_at: tx.at }
  await tx.db.insertInto('customer').values(row).execute()
}

/** What an earlier request with this key did, or null. */
export async function findRequest(db: Kysely<CustomersTables>, key: string): Promise<KnownRequest | null> {
  const row = await db.selectFrom('idempotency').selectAll().where('key', '=', key).executeTakeFirst()
  return row ? { customerId: row.customer_id, requestHash: row.request_hash } : null
}

/** Remembers what a key stands for. Rejects with Postgres' violation of `idempotency_pkey` where the key is known. */
export async function rememberRequest(
  tx: Tx<CustomersTables>,
  key: string,
  { customerId, requestHash }: KnownRequest,
): Promise<void> {
  const row = { key, request_hash: requestHash, customer_id: customerId, created_at: tx.at }
  await tx.db.insertInto('idempotency').values(row).execute()
}

/** Forgets the keys of requests that are older than this, a thousand at a time. */
export async function deleteRequests(db: Kysely<CustomersTables>, before: Date): Promise<void> {
  const old = db.selectFrom('idempotency').select('key').where('created_at', '<', before).limit(1_000)
  const some = db.deleteFrom('idempotency').where('key', 'in', old)
  while ((await some.executeTakeFirst()).numDeletedRows === 1_000n);
}
