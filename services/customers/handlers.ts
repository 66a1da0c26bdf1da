import { randomUUID } from 'node:crypto'
import { notFound, ServiceError } from '#kit/errors.ts'
import { entityTag } from '#kit/http/conditional.ts'
import { idempotencyKeptMs, readIdempotencyKey } from '#kit/http/idempotency.ts'
import type { RestRequest, RestResponse } from '#kit/http/server.ts'
import { publisher } from '#kit/messaging/publisher.ts'
import type { Database } from '#kit/store/database.ts'
import { violates } from '#kit/store/errors.ts'
import type { customersApi } from '#mesh/shop/interfaces.ts'
import { customerEvents } from '#mesh/shop/messages.ts'
import { customers } from '#mesh/shop.ts'
import { CustomerRegisteredSchema } from '#proto/parley/customers/v1/events_pb.ts'
import { type NewCustomer, readCustomer, requestHash } from './customer.ts'
import {
  type Customer,
  type CustomersTables,
  deleteRequests,
  findRequest,
  insertCustomer,
  readCustomerById,
  rememberRequest,
} from './store.ts'

/** Whoever registers. Lengths are bounded here; what they may hold is `readCustomer`'s. */
export const newCustomerSchema = {
  type: 'object',
  required: ['name', 'emailAddress'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 200 },
    emailAddress: { type: 'string', minLength: 3, maxLength: 320, description: 'Where the welcome is sent.' },
  },
} as const

type Register = RestRequest<(typeof customersApi)['routes']['registerCustomer'], typeof newCustomerSchema>

const publish = publisher(customers, customerEvents)

/** What is personal is kept by nobody but the client, and compared each time. */
const cacheControl = 'private, no-cache'

/**
 * Registers a customer: 201 with where they are, and `idempotency-replayed: true` where the same key had registered them
 * before. The welcome follows by the event.
 */
export async function registerCustomer(
  { headers, body }: Register,
  database: Database<CustomersTables>,
): Promise<RestResponse> {
  const key = readIdempotencyKey(headers['idempotency-key'])
  const wanted = readCustomer(body)
  try {
    const customerId = await insert(database, key, wanted)
    return registered(await show(database, customerId), false)
  } catch (error) {
    if (violates(error, 'customer_email')) throw addressTaken()
    if (!violates(error, 'idempotency_pkey')) throw error
    const known = await findRequest(database.db, key)
    if (!known) throw error
    if (known.requestHash !== requestHash(wanted)) {
      const next = 'This idempotency key stands for a registration with other contents; use a new one'
      throw new ServiceError('idempotency-key-reused', next)
    }
    return registered(await show(database, known.customerId), true)
  }
}

/** Shows a customer. */
export async function getCustomer(customerId: string, database: Database<CustomersTables>): Promise<RestResponse> {
  const customer = await show(database, customerId)
  return { status: 200, body: customer, headers: { etag: entityTag(customer), 'cache-control': cacheControl } }
}

/** Forgets idempotency keys after a day. A client that asks again later than that finds its address taken. */
export async function forgetRequests(database: Database<CustomersTables>, now: Date): Promise<void> {
  await deleteRequests(database.db, new Date(now.getTime() - idempotencyKeptMs))
}

/** The key first: a repeat is recognised by it, not by the address that it took itself. */
function insert(database: Database<CustomersTables>, key: string, wanted: NewCustomer): Promise<string> {
  const customerId = randomUUID()
  return database.transaction(async (tx) => {
    await rememberRequest(tx, key, { customerId, requestHash: requestHash(wanted) })
    await insertCustomer(tx, customerId, wanted)
    const { name, emailAddress } = wanted
    publish(tx, CustomerRegisteredSchema, { customerId, name, emailAddress })
    return customerId
  })
}

async function show({ db }: Database<CustomersTables>, customerId: string): Promise<Customer> {
  const customer = await readCustomerById(db, customerId)
  if (!customer) throw notFound(`There is no customer ${customerId.slice(0, 64)}`)
  return customer
}

function registered(customer: Customer, replayed: boolean): RestResponse {
  const location = `/api/v1/customers/${customer.customerId}`
  const headers = { location, etag: entityTag(customer), 'cache-control': cacheControl }
  return { status: 201, body: customer, headers: { ...headers, ...(replayed && { 'idempotency-replayed': 'true' }) } }
}

/** Says no more than that: not who has the address, nor since when. */
function addressTaken(): ServiceError {
  const message = 'This address cannot be registered'
  return new ServiceError('failed-precondition', message, {
    violations: [{ field: 'emailAddress', code: 'not-available', message }],
  })
}
