/** One small system with everything that Linkerd is asked for, and the sites it is rendered for. */
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import type { EnvironmentName } from '#graph/environment.ts'
import { exposure } from '#graph/exposure.ts'
import { external, externalTcp, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { type ServiceSlice, slicesOf } from '#plan/slices.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { type Site, siteOf } from '#providers/cluster.ts'
import { leastSettings } from '#test/fixtures/settings.ts'

const inventory = service('inventory', { exposes: [InventoryService], rateLimit: { perSecond: 100, burst: 200 } })
const prices = rest('prices-api', { read: 'GET /prices/{sku}', list: 'GET /prices' })
const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 500,
  routes: { charge: 'PUT /charges/{id}' },
})
const rates = external('rates', {
  host: 'rates.example',
  port: 80,
  tls: false,
  expectedLatencyMs: 300,
  routes: { today: 'GET /rates/today' },
  standIn: { start: module('services/rates/main.ts') },
})
const mail = externalTcp('mail', { host: 'mail.example', port: 587, expectedLatencyMs: 1_000 })
const pricing = service('pricing', {
  exposes: [prices],
  edges: [reaches(rates, { retry: { attempts: 2 } }), reaches(bank), reaches(mail)],
})
const orders = service('orders', {
  exposes: [OrderService],
  edges: [
    calls(InventoryService, ['checkStock'], {
      deadlineMs: 300,
      retry: { attempts: 2, perTryTimeoutMs: 120, on: ['unavailable', 'resource-exhausted'] },
    }),
    calls(prices, ['read'], { deadlineMs: 400, retry: { attempts: 3, perTryTimeoutMs: 100 } }),
  ],
})
const shopApi = rest('shop-api', { place: 'POST /api/v1/orders', read: 'GET /api/v1/orders/{id}' })
const gateway = service('gateway', {
  exposes: [shopApi],
  edges: [
    calls(OrderService, ['createOrder'], {
      deadlineMs: 1_000,
      retry: { attempts: 3, perTryTimeoutMs: 300 },
      breaker: { failures: 5, openMs: 90_000 },
    }),
    calls(OrderService, ['getOrder'], { deadlineMs: 500, breaker: { failures: 5, openMs: 90_000 } }),
  ],
})
const support = service('support', {
  edges: [
    calls(OrderService, ['getOrder'], {
      deadlineMs: 800,
      retry: { attempts: 2 },
      breaker: { failures: 9, openMs: 5_000 },
    }),
  ],
})

const small = system('small', {
  services: [gateway, orders, inventory, pricing, support],
  exposures: [exposure('shop', gateway, shopApi)],
})

/** The plan of the system in an environment. */
export function planOf(environment: EnvironmentName): Plan {
  return derive(small, environment)
}

/** A slice by name. */
export function sliceOf(plan: Plan, name: string): ServiceSlice {
  const slice = slicesOf(plan).get(name)
  if (!slice) throw new Error(`the plan has no service ${name}`)
  return slice
}

/** The plan's site with Linkerd. */
export function siteFor(plan: Plan): Site {
  return siteOf(plan, 'linkerd', leastSettings)
}
