/** Small systems, each for one thing that sidecars do, and a site that is the same on every machine. */
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external, externalTcp, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import type { Fault } from '#plan/fault.ts'
import type { Plan } from '#plan/plan.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import type { EnvoySite } from '../site.ts'

/** A golden case: whose sidecar of which plan, and the files that the case is about. */
export type Case = {
  readonly name: string
  readonly plan: Plan
  readonly service: string
  readonly files: readonly string[]
  readonly faults?: readonly Fault[]
}

const inventory = service('inventory', { exposes: [InventoryService], rateLimit: { perSecond: 100, burst: 200 } })
const orders = service('orders', {
  exposes: [OrderService],
  edges: [
    calls(InventoryService, ['checkStock'], {
      deadlineMs: 300,
      retry: { attempts: 2, perTryTimeoutMs: 120, on: ['unavailable', 'resource-exhausted'] },
      breaker: { failures: 5, openMs: 30_000 },
    }),
  ],
})
const shopApi = rest('shop-api', { place: 'POST /api/v1/orders', read: 'GET /api/v1/orders/{id}' })
const gateway = service('gateway', {
  exposes: [shopApi],
  edges: [calls(OrderService, ['createOrder'], { deadlineMs: 1_000 }), calls(OrderService, ['getOrder'])],
})
const web = service('web', { exposes: [OrderService] })
const teller = service('teller', {
  edges: [
    reaches(
      external('bank', {
        host: 'bank.example',
        port: 443,
        expectedLatencyMs: 3_000,
        routes: { charge: 'PUT /charges/{id}' },
      }),
    ),
    reaches(externalTcp('mail', { host: 'mail.example', port: 587, expectedLatencyMs: 1_000 })),
  ],
})

const rateLimit = { perSecond: 200, burst: 400, perClient: { perSecond: 20, burst: 40 } }

/** Three services in a row: what is called, what calls, and what is called from outside. */
export const chain = derive(
  system('chain', {
    services: [gateway, orders, inventory],
    exposures: [exposure('shop', gateway, shopApi, { rateLimit })],
  }),
  'local',
)
const outside = derive(system('outside', { services: [teller] }), 'local')
const browser = derive(
  system('browser', {
    services: [web],
    exposures: [
      exposure('web', web, OrderService, {
        client: 'browser',
        grpcWeb: true,
        host: 'web.example',
        methods: ['getOrder', 'streamOrderUpdates'],
        origins: ['https://pages.example'],
      }),
      exposure('bulk', web, OrderService, { methods: ['uploadOrders'], streamDeadlineMs: 60_000 }),
    ],
  }),
  'local',
)

const slow = { from: 'orders', to: 'inventory', path: null, percent: 50 } as const

export const cases: readonly Case[] = [
  {
    name: 'caller',
    plan: chain,
    service: 'orders',
    files: ['bootstrap', 'clusters', 'listeners', 'outbound'],
  },
  { name: 'callee', plan: chain, service: 'inventory', files: ['clusters', 'listeners', 'inbound'] },
  { name: 'edge', plan: chain, service: 'gateway', files: ['listeners'] },
  { name: 'edge-grpc-web', plan: browser, service: 'web', files: ['listeners'] },
  { name: 'egress', plan: outside, service: 'teller', files: ['clusters', 'listeners', 'outbound'] },
  {
    name: 'fault-at-caller',
    plan: chain,
    service: 'orders',
    files: ['outbound'],
    faults: [{ ...slow, at: 'caller', effect: { kind: 'abort', status: 'unavailable' } }],
  },
  {
    name: 'fault-at-callee',
    plan: chain,
    service: 'inventory',
    files: ['inbound'],
    faults: [{ ...slow, at: 'callee', effect: { kind: 'delay', delayMs: 250 } }],
  },
]

/** Where the sidecars of a plan would be: fixed paths, addresses by position. */
export function siteOf(plan: Plan, service: string): EnvoySite {
  const address = (name: string) => `127.0.0.${10 + plan.services.findIndex((candidate) => candidate.name === name)}`
  const socket = (file: string) => `/run/s/${service}/${file}`
  const exposed = plan.exposures.some((one) => one.service === service)
  return {
    dir: `/run/envoy/${service}`,
    inbound: { address: address(service), port: 15006 },
    metrics: { address: address(service), port: 15090 },
    edge: exposed ? { address: '127.0.0.1', port: 8080 } : null,
    appSocket: socket('app.sock'),
    appAdminSocket: socket('admin.sock'),
    outboundSocket: socket('out.sock'),
    egressSockets: { mail: socket('mail.sock') },
    adminSocket: socket('envoy.sock'),
    certificatesDir: `/run/certs/${service}`,
    services: Object.fromEntries(plan.services.map(({ name }) => [name, { address: address(name), port: 15006 }])),
    externals: {
      bank: { address: 'bank.example', port: 443, tls: true },
      mail: { address: '127.0.0.200', port: 8080, tls: false },
    },
    publicAuthorities: '/etc/ssl/certs/ca-certificates.crt',
  }
}
