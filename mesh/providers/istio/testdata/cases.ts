/** A small system with everything that Istio is asked for, on a site that is the same on every machine. */

import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import type { EnvironmentName } from '#graph/environment.ts'
import { exposure } from '#graph/exposure.ts'
import { external, externalTcp, reaches } from '#graph/external.ts'
import { queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { topic } from '#graph/topic.ts'
import { derive } from '#plan/derive.ts'
import type { Fault } from '#plan/fault.ts'
import type { Plan } from '#plan/plan.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { leastSettings } from '#test/fixtures/settings.ts'
import { type Site, siteOf } from '../../cluster.ts'

const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 3_000,
  routes: { charge: 'PUT /charges/{id}', rates: 'GET /rates' },
  standIn: { start: module('services/bank/main.ts') },
})
const mail = externalTcp('mail', {
  host: 'mail.example',
  port: 587,
  expectedLatencyMs: 1_000,
  standIn: { start: module('services/mailbox/main.ts') },
})
const catalogApi = rest('catalog-api', {
  find: 'GET /products/{id}',
  parts: 'GET /products/{id}/parts/{part}',
  rename: 'PUT /products/{id}',
})
const shopApi = rest('shop-api', { place: 'POST /api/v1/orders', read: 'GET /api/v1/orders/{id}' })
const emails = queue('emails', { carries: [SendEmailSchema] })

const inventory = service('inventory', {
  exposes: [InventoryService],
  owns: [postgres()],
  rateLimit: { perSecond: 100, burst: 200 },
})
const catalog = service('catalog', { exposes: [catalogApi] })
const orders = service('orders', {
  exposes: [OrderService],
  owns: [postgres()],
  publishes: [topic('orders', { carries: [OrderPlacedSchema], key: 'orderId' })],
  edges: [
    calls(InventoryService, ['checkStock'], {
      deadlineMs: 300,
      retry: { attempts: 2, perTryTimeoutMs: 120, on: ['unavailable', 'resource-exhausted'] },
      breaker: { failures: 5, openMs: 30_000 },
      limits: { concurrentMax: 20, pendingMax: 10 },
    }),
    reaches(bank, { retry: { attempts: 2, perTryTimeoutMs: 1_500 } }),
  ],
})
const gateway = service('gateway', {
  exposes: [shopApi],
  rateLimit: { perSecond: 50, burst: 50 },
  edges: [
    calls(OrderService, ['createOrder'], { deadlineMs: 1_000 }),
    calls(OrderService, ['getOrder'], { deadlineMs: 500, retry: { attempts: 3, perTryTimeoutMs: 150 } }),
    calls(catalogApi, ['find', 'parts'], { deadlineMs: 400, retry: { attempts: 2 } }),
    calls(catalogApi, ['rename']),
  ],
})
const teller = service('teller', {
  edges: [reaches(bank), reaches(mail, { deadlineMs: 2_000 }), sends(emails), works(emails)],
})

const declared = system('market', {
  services: [gateway, orders, catalog, inventory, teller],
  exposures: [
    exposure('shop', gateway, shopApi, {
      host: 'shop.example',
      bodyBytesMax: 65_536,
      rateLimit: { perSecond: 200, burst: 400, perClient: { perSecond: 20, burst: 40 } },
    }),
    exposure('stock', inventory, InventoryService, {
      client: 'browser',
      grpcWeb: true,
      rateLimit: { perSecond: 10, burst: 20 },
      authentication: { kind: 'jwt', issuer: 'https://issuer.example', audience: 'market' },
    }),
  ],
})

/** The market's plan for one environment, and its site. */
export function market(environment: EnvironmentName): { readonly plan: Plan; readonly site: Site } {
  const plan = derive(declared, environment)
  return { plan, site: siteOf(plan, 'istio', leastSettings) }
}

/** A fault at each end of an edge. */
export const faults: readonly Fault[] = [
  {
    at: 'callee',
    from: 'orders',
    to: 'inventory',
    path: null,
    percent: 50,
    effect: { kind: 'abort', status: 'unavailable' },
  },
  {
    at: 'caller',
    from: 'gateway',
    to: 'catalog',
    path: '/products/{id}',
    percent: 12.5,
    effect: { kind: 'delay', delayMs: 250 },
  },
  {
    at: 'caller',
    from: 'teller',
    to: 'bank',
    path: null,
    percent: 100,
    effect: { kind: 'abort', status: 'unavailable' },
  },
]
