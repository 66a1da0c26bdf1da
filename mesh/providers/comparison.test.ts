/** One edge beside what every provider makes of it, and the page that says what each can do. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { slicesOf } from '#plan/slices.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { leastSettings } from '#test/fixtures/settings.ts'
import { expectGolden, yamlFiles } from '#test/golden.ts'
import { type Mesh, siteOf } from './cluster.ts'
import { meshesReference, providers, reasonsOf } from './comparison.ts'
import { authorization } from './envoy/authorization.ts'
import { outlierDetection } from './envoy/breaker.ts'
import { concurrency } from './envoy/limits.ts'
import { notSupported as envoyLacks } from './envoy/render.ts'
import { outboundRoutes } from './envoy/routes.ts'
import { notSupported as istioLacks } from './istio/not-supported.ts'
import { renderService as istio } from './istio/render.ts'
import { notSupported as linkerdLacks } from './linkerd/not-supported.ts'
import { renderService as linkerd, serviceAnnotations } from './linkerd/render.ts'
import type { Manifest, NotSupported } from './manifest.ts'

const page = new URL('../../docs/reference/meshes.md', import.meta.url)

const policy = {
  deadlineMs: 1_000,
  retry: { attempts: 2, perTryTimeoutMs: 450 },
  breaker: { failures: 5, openMs: 30_000 },
  limits: { concurrentMax: 50, pendingMax: 20 },
} as const
const api = rest('shop-api', { createOrder: 'POST /api/v1/orders' })
const orders = service('orders', { exposes: [OrderService] })
const gateway = service('gateway', { exposes: [api], edges: [calls(OrderService, ['createOrder'], policy)] })
const services = [gateway, orders]
const plan = derive(system('shop', { services }), 'kind')
const exposed = derive(system('shop', { services, exposures: [exposure('shop', gateway, api)] }), 'kind')

test('one edge, as each provider has it', () => {
  const [link] = plan.links
  if (!link) throw new Error('the plan has no link')
  const [route] = link.routes
  expectGolden(
    join(import.meta.dirname, 'testdata', 'one-edge'),
    yamlFiles({
      '0-declared': { from: link.from, to: link.to, method: route?.methods[0]?.name, ...policy },
      '1-local-envoy': {
        'routes of gateway': outboundRoutes(plan, 'gateway', []),
        'cluster of orders': {
          circuit_breakers: concurrency(link.limits, [route?.retry ?? null]),
          outlier_detection: outlierDetection(link.breaker),
        },
        'filter of orders': authorization(plan, 'orders'),
        NOT_SUPPORTED: envoyLacks(plan).filter(ofTheEdge),
      },
      '2-istio': { objects: objectsOf('istio'), NOT_SUPPORTED: istioLacks(plan).filter(ofTheEdge) },
      '3-linkerd': {
        objects: objectsOf('linkerd'),
        'annotations of the Service': serviceAnnotations(sliceOf(plan, 'orders')),
        NOT_SUPPORTED: linkerdLacks(plan).filter(ofTheEdge),
      },
    }),
  )
})

/** `UPDATE_GOLDEN=1` writes the page anew; the diff is read in review. */
test('the reference page says what the providers say', () => {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(page, meshesReference())
  expect(readFileSync(page, 'utf8')).toBe(meshesReference())
})

test.each([
  ['Local Envoy', envoyLacks],
  ['Istio', istioLacks],
  ['Linkerd', linkerdLacks],
] as const)('%s prints no reason that the page does not give', (name, lacks) => {
  const given = reasonsOf(providers[name] ?? ({} as never))
  const printed = lacks(demanding()).map(({ reason }) => reason)
  expect(printed.length).toBeGreaterThan(0)
  expect(printed.filter((reason) => !given.some((one) => reason.startsWith(one)))).toEqual([])
})

/** The objects of the two services that the edge made, without labels, which say nothing of it. */
function objectsOf(mesh: Mesh): readonly object[] {
  const site = siteOf(plan, mesh, leastSettings)
  const render = mesh === 'istio' ? istio : linkerd
  const objects = ['gateway', 'orders'].flatMap((name) => render(site, sliceOf(plan, name)))
  return objects
    .filter(isOfTheEdge)
    .map(({ apiVersion, kind, metadata: { labels: _labels, ...metadata }, ...object }) => ({
      apiVersion,
      kind,
      metadata,
      ...object,
    }))
}

/** What only one of the two services accounts for is left out. */
function isOfTheEdge({ kind, ...object }: Manifest): boolean {
  return kind !== 'Sidecar' && JSON.stringify(object).includes('orders')
}

function ofTheEdge({ where }: NotSupported): boolean {
  return where.includes('gateway') || where.includes('orders') || where.startsWith('calls')
}

function sliceOf(of: Plan, name: string) {
  const slice = slicesOf(of).get(name)
  if (!slice) throw new Error(`the plan has no service ${name}`)
  return slice
}

/** The same system, asking for everything that some provider cannot do. */
function demanding(): Plan {
  const authentication = { kind: 'jwt', issuer: 'https://issuer.example', audience: 'shop' } as const
  const retry = { attempts: 3, perTryTimeoutMs: 100, on: ['cancelled'], backoff: { baseMs: 10, maxMs: 20 } } as const
  const budgets = [
    { percent: 10, concurrentMin: 0 },
    { percent: 50, concurrentMin: 5 },
  ] as const
  const [link] = plan.links
  const [route] = link?.routes ?? []
  if (!link || !route) throw new Error('the plan has no link')
  const routes = budgets.map((budget) => ({ ...route, retry: { ...retry, budget } }))
  const { breaker, limits } = link
  const egress = ['bank', 'mail', 'rates'].map((external) => ({
    from: 'gateway',
    external,
    deadlineMs: 100,
    retry: null,
    breaker,
    limits,
  }))
  const system = { host: 'outside.example', routes: [], expectedLatencyMs: 1, standIn: null }
  return {
    ...plan,
    traceSampling: 0.1,
    links: [
      { ...link, routes },
      {
        ...link,
        from: 'support',
        protocol: 'http',
        breaker: { failures: 9, openMs: 1 },
        routes: [{ ...route, deadlineMs: 1 }],
      },
    ],
    services: plan.services.map((one) => ({ ...one, replicas: 2, rateLimit: { perSecond: 1, burst: 2 } })),
    exposures: exposed.exposures.map((one) => ({ ...one, authentication })),
    egress,
    externals: [
      { ...system, name: 'bank', protocol: 'http', port: 443, tls: true },
      { ...system, name: 'mail', protocol: 'tcp', port: 587, tls: false },
      { ...system, name: 'rates', protocol: 'http', port: 80, tls: false },
    ],
  }
}
