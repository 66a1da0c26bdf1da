import type { Tx } from '#kit/store/database.ts'
import type { CustomerRegistered } from '#proto/parley/customers/v1/events_pb.ts'
import { type StorefrontTables, writeName } from './store.ts'

/** What customers' events mean for the storefront. */
export const reactions = {
  CustomerRegistered: ({ customerId, name }: CustomerRegistered, tx: Tx<StorefrontTables>) =>
    writeName(tx, customerId, name),
}
