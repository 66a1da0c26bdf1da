/** What can be asked over HTTP: the interfaces of the shop, and those of others that it depends on. */
import { graphql, rest } from '#graph/api.ts'
import { external, externalTcp } from '#graph/external.ts'
import { module } from '#graph/start.ts'

// What the shop offers to those outside.
export const ordersApi = rest(
  'orders-api',
  {
    createOrder: 'POST /api/{version}/orders',
    listOrders: 'GET /api/{version}/orders',
    getOrder: 'GET /api/{version}/orders/{id}',
    orderPage: 'GET /api/{version}/orders/{id}/page',
    orderUpdates: 'GET /api/{version}/orders/{id}/updates',
    quoteShipping: 'GET /api/{version}/quotes',
    listProducts: 'GET /api/{version}/products',
    getProduct: 'GET /api/{version}/products/{id}',
  },
  {
    streams: ['orderUpdates'],
    versions: {
      v1: { deprecated: '2026-11-01', sunset: '2029-12-31', lacks: ['listOrders', 'orderPage'] },
      v2: {},
    },
  },
)
export const customersApi = rest('customers-api', {
  registerCustomer: 'POST /api/v1/customers',
  getCustomer: 'GET /api/v1/customers/{id}',
})
export const webhooksApi = rest('webhooks-api', {
  createWebhook: 'POST /api/v1/webhooks',
  listWebhooks: 'GET /api/v1/webhooks',
  getWebhook: 'GET /api/v1/webhooks/{id}',
  updateWebhook: 'PATCH /api/v1/webhooks/{id}',
  deleteWebhook: 'DELETE /api/v1/webhooks/{id}',
  rotateSecret: 'POST /api/v1/webhooks/{id}/secret',
  pingWebhook: 'POST /api/v1/webhooks/{id}/ping',
  listDeliveries: 'GET /api/v1/webhooks/{id}/deliveries',
  getDelivery: 'GET /api/v1/webhooks/{id}/deliveries/{number}',
  replayDelivery: 'POST /api/v1/webhooks/{id}/deliveries/{number}/replay',
  replayDeliveries: 'POST /api/v1/webhooks/{id}/replay',
})

// What the shop sells, for those inside.
export const catalogApi = rest('catalog-api', {
  listProducts: 'GET /products',
  getProduct: 'GET /products/{id}',
  putProduct: 'PUT /products/{id}',
})

// What the shop's pages ask in one question.
export const storefrontApi = graphql('storefront-api')

// What others offer us.
export const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 3_000,
  routes: { charge: 'PUT /charges/{id}', refund: 'PUT /refunds/{id}' },
  standIn: { start: module('services/bank/main.ts') },
})
export const mail = externalTcp('mail', {
  host: 'mail.example',
  port: 587,
  expectedLatencyMs: 1_000,
  standIn: { start: module('services/mailbox/main.ts'), webPort: 8025 },
})
