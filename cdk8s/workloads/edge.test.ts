import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { type RestApi, rest } from '#graph/api.ts'
import type { EnvironmentName } from '#graph/environment.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { type Mesh, meshes, type Settings, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { durationOf } from './duration.ts'
import { unsignedExposures } from './edge.ts'
import { renderedOf, settings } from './testdata/cases.ts'

type Exposed = Parameters<typeof exposure<typeof OrderService>>[3] & Parameters<typeof exposure<RestApi>>[3]

function objectsOf(
  api: RestApi | typeof OrderService,
  more: Exposed,
  on: { readonly environment?: EnvironmentName; readonly mesh?: Mesh; readonly settings?: Partial<Settings> } = {},
): readonly Manifest[] {
  const orders = service('orders', { exposes: [api], start: module('main.ts') })
  const declared = system('shop', { services: [orders], exposures: [exposure('shop', orders, api, more)] })
  const { environment = 'production', mesh = 'istio' } = on
  return renderedOf(derive(declared, environment), mesh, { ...settings, ...on.settings }).objects
}

const ordersApi = rest('orders-api', { create: 'POST /api/v1/orders', get: 'GET /api/v1/orders/{id}.json' })
const named = (objects: readonly Manifest[], kind: string, name: string) =>
  objects.find((object) => object.kind === kind && object.metadata.name === name)?.spec as Record<string, unknown>

test('exactly the declared methods come in, whole paths only, within the deadline', () => {
  const route = named(objectsOf(ordersApi, { deadlineMs: 1_500 }), 'HTTPRoute', 'shop.edge')
  expect(route).toEqual({
    parentRefs: [{ name: 'shop', sectionName: 'https' }],
    hostnames: ['shop.example'],
    rules: [
      {
        matches: [
          { path: { type: 'Exact', value: '/api/v1/orders' }, method: 'POST' },
          { path: { type: 'RegularExpression', value: '/api/v1/orders/[^/]+\\.json' }, method: 'GET' },
          { path: { type: 'Exact', value: '/openapi.json' }, method: 'GET' },
          { path: { type: 'Exact', value: `/openapi/${ordersApi.name}.json` }, method: 'GET' },
        ],
        filters: [
          {
            type: 'RequestHeaderModifier',
            requestHeaderModifier: { set: [{ name: 'x-parley-timeout-ms', value: '1500' }] },
          },
        ],
        timeouts: { request: '1s500ms' },
        backendRefs: [{ name: 'orders', port: 8080 }],
      },
    ],
  })
})

test('plain HTTP is sent on to HTTPS in production, and answered on kind', () => {
  const there = named(objectsOf(ordersApi, {}), 'HTTPRoute', 'edge.redirect')
  expect(there).toMatchObject({ parentRefs: [{ name: 'shop', sectionName: 'http' }] })
  const kind = objectsOf(ordersApi, {}, { environment: 'kind', settings: { hosts: {} } })
  expect(named(kind, 'HTTPRoute', 'edge.redirect')).toBeUndefined()
  const { parentRefs, hostnames } = named(kind, 'HTTPRoute', 'shop.edge')
  expect(parentRefs).toEqual([
    { name: 'shop', sectionName: 'http' },
    { name: 'shop', sectionName: 'https' },
  ])
  expect(hostnames).toBeUndefined()
})

test.each(['linkerd', 'none'] as const)(
  'strangers do not decide which traces are kept where a share is; where all are, one may begin outside: %s',
  (mesh) => {
    const headersOn = (environment: EnvironmentName, settings: Partial<Settings> = {}) =>
      named(objectsOf(ordersApi, {}, { mesh, environment, settings }), 'ClientTrafficPolicy', 'edge.strangers').headers
    expect(headersOn('production')).toMatchObject({
      earlyRequestHeaders: { remove: ['traceparent', 'tracestate', 'x-client-trace-id'] },
    })
    expect(headersOn('kind', { hosts: {} })).not.toHaveProperty('earlyRequestHeaders')
  },
)

test('an issuer signs for hosts; for any host the system signs itself', () => {
  const issued = objectsOf(ordersApi, {}, { settings: { clusterIssuer: 'letsencrypt' } })
  expect(named(issued, 'Certificate', 'shop-edge')).toMatchObject({
    dnsNames: ['shop.example'],
    issuerRef: { kind: 'ClusterIssuer', name: 'letsencrypt' },
  })
  const own = objectsOf(ordersApi, {}, { settings: { clusterIssuer: 'letsencrypt', hosts: {} } })
  expect(named(own, 'Certificate', 'shop-edge')).toMatchObject({
    dnsNames: ['localhost', 'shop.shop.svc.cluster.local'],
    issuerRef: { kind: 'Issuer', name: 'edge.authority' },
  })
})

test('a certificate of our own is for every host, and for localhost where an exposure answers under any', () => {
  const orders = service('orders', { exposes: [ordersApi], start: module('main.ts') })
  const exposures = [exposure('shop', orders, ordersApi, {}), exposure('partners', orders, ordersApi, {})]
  const plan = derive(system('shop', { services: [orders], exposures }), 'kind')
  const { objects } = renderedOf(plan, 'istio', { ...settings, hosts: { shop: 'shop.example' } })
  const { dnsNames } = named(objects, 'Certificate', 'shop-edge')
  expect(dnsNames).toEqual(['shop.example', 'localhost', 'shop.shop.svc.cluster.local'])
})

test('an exposure without a host is said, for an issuer signs nothing for it', () => {
  const orders = service('orders', { exposes: [ordersApi], start: module('main.ts') })
  const exposures = [exposure('shop', orders, ordersApi, {}), exposure('partners', orders, ordersApi, {})]
  const plan = derive(system('shop', { services: [orders], exposures }), 'production')
  const said = (hosts: Settings['hosts'], clusterIssuer: string | null = 'letsencrypt') =>
    unsignedExposures(siteOf(plan, 'istio', { ...settings, hosts, clusterIssuer }), plan).map(
      ({ where, reason }) => `${where}: ${reason}`,
    )
  expect(said({})).toHaveLength(2)
  expect(said({ shop: 'shop.example' })).toEqual([
    'exposure partners: it has no host: its certificate is for shop.example alone; set hosts.partners in the settings',
  ])
  expect(said({ shop: 'shop.example', partners: 'p.example' })).toEqual([])
  expect(said({}, null)).toEqual([])
})

test.each(meshes)('a route holds at most 64 methods, so that many are several (%s)', (mesh) => {
  const routes = Object.fromEntries(
    Array.from({ length: 130 }, (_, index) => [`m${index}`, `GET /m${index}` as `GET /${string}`]),
  )
  const objects = objectsOf(rest('many', routes), {}, { mesh })
  const matches = objects
    .filter(({ kind, metadata }) => kind === 'HTTPRoute' && metadata.name.startsWith('shop.edge'))
    .map(({ spec }) => (spec as { rules: { matches: object[] }[] }).rules[0]?.matches.length)
  expect(matches).toEqual([64, 64, 4])
})

describe('gRPC', () => {
  const origins = ['https://pages.example']
  const browser: Exposed = { client: 'browser', grpcWeb: true, deadlineMs: 2_000, origins }

  test('on Istio is let in by path, with a deadline and for pages elsewhere; the Service says that it is gRPC-Web', () => {
    const objects = objectsOf(OrderService, browser)
    const { rules } = named(objects, 'HTTPRoute', 'shop.edge') as { rules: Record<string, unknown>[] }
    const path = { type: 'Exact', value: '/parley.orders.v1.OrderService/CreateOrder' }
    // A browser asks with OPTIONS first.
    for (const method of ['POST', 'OPTIONS']) expect(rules[0]?.matches).toContainEqual({ path, method })
    expect(rules[0]).toMatchObject({
      filters: [{ type: 'CORS', cors: { allowOrigins: origins, allowMethods: ['POST'] } }],
      timeouts: { request: '2s' },
    })
    expect(named(objects, 'Service', 'orders')).toMatchObject({ ports: [{ name: 'grpc-web', appProtocol: undefined }] })
  })

  test('at Envoy Gateway is a GRPCRoute, with deadline, rate and origins in policies', () => {
    const objects = objectsOf(OrderService, { ...browser, rateLimit: { perSecond: 5, burst: 9 } }, { mesh: 'linkerd' })
    expect(named(objects, 'GRPCRoute', 'shop.edge')).toMatchObject({
      rules: [
        {
          matches: expect.arrayContaining([
            { method: { type: 'Exact', service: 'parley.orders.v1.OrderService', method: 'CreateOrder' } },
          ]),
        },
      ],
    })
    expect(named(objects, 'BackendTrafficPolicy', 'shop.edge')).toMatchObject({
      rateLimit: { local: { rules: [{ limit: { requests: 5, unit: 'Second' } }] } },
      timeout: { http: { requestTimeout: '2s' } },
    })
    expect(named(objects, 'SecurityPolicy', 'shop.edge')).toMatchObject({
      cors: { allowOrigins: origins, allowMethods: ['POST'], maxAge: '600s' },
    })
    expect(named(objects, 'Service', 'orders')).toMatchObject({
      ports: [{ name: 'grpc', appProtocol: 'kubernetes.io/h2c' }],
    })
  })
})

test.each(meshes)('without origins no page of another is told anything; some methods alone are open (%s)', (mesh) => {
  const part = objectsOf(OrderService, { client: 'browser', grpcWeb: true, methods: ['getOrder'] }, { mesh })
  expect(JSON.stringify(part)).not.toMatch(/allowOrigins|"OPTIONS"/)
  const routes = JSON.stringify(part.filter(({ metadata }) => /^shop\.(edge|streams)/.test(metadata.name)))
  expect(routes).toContain('GetOrder')
  expect(routes).not.toMatch(/CreateOrder|StreamOrderUpdates|Health|Reflection/)
})

test.each(meshes)('pages of other origins may ask a REST interface too (%s)', (mesh) => {
  const objects = objectsOf(ordersApi, { client: 'browser', origins: ['https://pages.example'] }, { mesh })
  const { rules } = named(objects, 'HTTPRoute', 'shop.edge') as { rules: { matches: object[] }[] }
  expect(rules[0]?.matches).toContainEqual({ path: { type: 'Exact', value: '/api/v1/orders' }, method: 'OPTIONS' })
  const told = mesh === 'istio' ? rules[0] : named(objects, 'SecurityPolicy', 'shop.edge')
  expect(JSON.stringify(told)).toContain('"allowOrigins":["https://pages.example"],"allowMethods":["POST","GET"]')
})

test('a rate of each client is a bucket an address at Envoy Gateway, beside the one that all share', () => {
  const rateLimit = { perSecond: 50, burst: 90, perClient: { perSecond: 0.5, burst: 1 } }
  expect(
    named(objectsOf(ordersApi, { rateLimit }, { mesh: 'linkerd' }), 'BackendTrafficPolicy', 'shop.edge'),
  ).toMatchObject({
    rateLimit: {
      local: {
        rules: [
          { limit: { requests: 50 } },
          { clientSelectors: [{ path: { value: '/' } }], limit: { requests: 50 } },
          { clientSelectors: [{ sourceCIDR: { type: 'Distinct', value: '0.0.0.0/0' } }], limit: { requests: 1 } },
          { clientSelectors: [{ sourceCIDR: { type: 'Distinct', value: '::/0' } }], limit: { requests: 1 } },
        ],
      },
    },
  })
})

test('an exposure that asks for tokens lets nobody in where nothing can verify them', () => {
  const jwt: Exposed = { authentication: { kind: 'jwt', issuer: 'https://id.example', audience: 'shop' } }
  expect(named(objectsOf(ordersApi, jwt), 'HTTPRoute', 'shop.edge')).toBeDefined()
  for (const mesh of ['linkerd', 'none'] as const)
    expect(named(objectsOf(ordersApi, jwt, { mesh }), 'HTTPRoute', 'shop.edge')).toBeUndefined()
})

test('the proxies of Istio and of Envoy Gateway answer at the node ports that kind maps', () => {
  const ports = [
    { port: 80, nodePort: 30_080 },
    { port: 443, nodePort: 30_443 },
  ]
  const istio = objectsOf(ordersApi, {}).find(({ metadata }) => metadata.name === 'edge.proxies')
  const pieces = Object.entries(istio?.data as Record<string, string>).map(([name, text]) => [name, parse(text)])
  expect(Object.fromEntries(pieces)).toMatchObject({
    service: { spec: { type: 'NodePort', ports } },
    deployment: { spec: { template: { spec: { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } } } } },
    podDisruptionBudget: { spec: { maxUnavailable: 1 } },
    horizontalPodAutoscaler: { spec: { minReplicas: 2, maxReplicas: 8 } },
  })
  expect(named(objectsOf(ordersApi, {}, { mesh: 'none' }), 'EnvoyProxy', 'edge.proxies')).toMatchObject({
    provider: { kubernetes: { envoyService: { type: 'NodePort', patch: { value: { spec: { ports } } } } } },
  })
})

test('durations have units of at most five digits', () => {
  expect([1, 999, 1_000, 1_500, 100_000, 3_600_000].map(durationOf)).toEqual([
    '1ms',
    '999ms',
    '1s',
    '1s500ms',
    '100s',
    '3600s',
  ])
})
