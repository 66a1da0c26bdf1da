import type { Closable } from '#kit/app/admin.ts'
import type { App } from '#kit/app/lifecycle.ts'
import { idempotencyHeaders } from '#kit/http/idempotency.ts'
import { restServer } from '#kit/http/server.ts'
import type { Database } from '#kit/store/database.ts'
import { customersApi } from '#mesh/shop/interfaces.ts'
import { type customers, customersExposure } from '#mesh/shop.ts'
import { getCustomer, newCustomerSchema, registerCustomer } from './handlers.ts'
import type { CustomersTables } from './store.ts'

const customerSchema = {
  type: 'object',
  required: ['customerId', 'name', 'emailAddress', 'registeredAt'],
  properties: {
    customerId: { type: 'string' },
    name: { type: 'string' },
    emailAddress: { type: 'string' },
    registeredAt: { type: 'string', format: 'date-time' },
  },
} as const

const registrationHeaders = idempotencyHeaders(
  "New for each new customer. A second request with it gives the first one's customer, for 24 hours.",
)

/** Serves the routes of customers. */
export function customersServer(app: App<typeof customers>, database: Database<CustomersTables>): Promise<Closable> {
  return restServer(
    app,
    customersApi,
    {
      registerCustomer: {
        summary: 'Registers a customer. A welcome is sent to them afterwards.',
        headers: registrationHeaders,
        body: newCustomerSchema,
        responses: { 201: customerSchema },
        handler: (request) => registerCustomer(request, database),
      },
      getCustomer: {
        summary: 'Shows a customer.',
        responses: { 200: customerSchema },
        handler: ({ params }) => getCustomer(params.id, database),
      },
    },
    customersExposure,
  )
}
