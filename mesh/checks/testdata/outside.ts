import { type Route, rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external, reaches } from '#graph/external.ts'
import { type ServiceNode, service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes } from '#graph/topic.ts'
import type { ApiVersion } from '#graph/version.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import {
  answering,
  api,
  breaking,
  type Case,
  cancelled,
  orderEvents,
  orders,
  outside,
  placed,
  tiny,
  versioned,
} from './systems.ts'

const ordersGrpc = service('orders', { exposes: [OrderService] })

const token = { kind: 'jwt', issuer: 'https://id.example', audience: 'shop' } as const
const pages = { client: 'browser', grpcWeb: true, methods: ['getOrder', 'streamOrderUpdates'] } as const

function front(spec: Parameters<typeof exposure<typeof OrderService>>[3]) {
  return tiny([ordersGrpc], { exposures: [exposure('front', ordersGrpc, OrderService, spec)] })
}

function reaching(host: string) {
  return tiny([answering('orders'), service('a', { edges: [reaches(outside('bank', 100, host))] })])
}

function called(latencyMs: number) {
  return tiny([
    service('a', { edges: [calls(api('b'), ['read'], { deadlineMs: 5_000 })] }),
    answering('b', [reaches(outside('bank', latencyMs), { deadlineMs: 900 })]),
  ])
}

function exposedReaching(node: ServiceNode) {
  return tiny([node], { exposures: node.spec.exposes ? [exposure('front', node, api('a'))] : [] })
}

function delivering(messages: (typeof placed | typeof cancelled)[], signed: boolean) {
  const hook = webhook('order-hooks', orderEvents, [placed, cancelled], { signed })
  return tiny([orders, service('hooks', { edges: [consumes(orderEvents, messages), delivers(hook)] })])
}

function promising(availability: number, fallback: boolean) {
  return tiny([
    service('a', {
      objective: { availability, p99Ms: 500 },
      edges: [calls(api('b'), ['read'], { fallback }), calls(api('c'), ['read'])],
    }),
    ...['b', 'c'].map((name) => service(name, { exposes: [api(name)], objective: { availability: 0.99, p99Ms: 100 } })),
  ])
}

function onPort(port: number) {
  const spec = { host: 'bank.example', port, expectedLatencyMs: 100, routes: { show: 'GET /show' } } as const
  return external(`bank-${port}`, spec)
}

function owning(name?: string) {
  return tiny([service('a', { owns: [postgres()] }), service('b', { owns: [postgres(name ? { name } : {})] })])
}

/** Two services, each with a route, open side by side. */
function beside(
  one: Route,
  other: Route,
  more: { host?: string; versions?: Readonly<Record<string, ApiVersion<'read'>>> } = {},
) {
  const { host = '*', ...spec } = more
  const [mine, theirs] = [rest('a-api', { read: one }), rest('b-api', { read: other }, spec)]
  const [a, b] = [service('a', { exposes: [mine] }), service('b', { exposes: [theirs] })]
  return tiny([a, b], { exposures: [exposure('front', a, mine), exposure('side', b, theirs, { host })] })
}

function openTwice(methods: readonly ('getOrder' | 'listOrders')[]) {
  return tiny([ordersGrpc], {
    exposures: [
      exposure('front', ordersGrpc, OrderService, { methods: ['getOrder'] }),
      exposure('side', ordersGrpc, OrderService, { methods, authentication: token }),
    ],
  })
}

/** Cases of the rules PLY401 to PLY502. */
export const outsideCases: readonly Case[] = [
  breaking('PLY401', 'raw gRPC to a browser', {
    breaks: front({ ...pages, grpcWeb: false }),
    holds: front(pages),
    says: ['exposure front', 'OrderService', 'grpcWeb: true'],
  }),
  breaking('PLY402', 'a callee that waits for a slow external', {
    breaks: called(1_001),
    holds: called(1_000),
    says: ['a → b.read → external bank', '1,001 ms', 'a gives up after 5,000 ms'],
  }),
  breaking('PLY402', 'an exposed service that waits for a slow external', {
    breaks: exposedReaching(answering('a', [reaches(outside('bank', 3_000))])),
    holds: exposedReaching(service('a', { edges: [reaches(outside('bank', 3_000))] })),
    says: ['exposure front a → external bank', '3,000 ms', '10,000 ms'],
  }),
  breaking('PLY403', 'an unsigned webhook', {
    breaks: delivering([placed, cancelled], false),
    holds: delivering([placed, cancelled], true),
    says: ['hooks → webhook order-hooks', 'signed: false'],
  }),
  breaking('PLY404', 'a webhook whose events do not arrive', {
    breaks: delivering([placed], true),
    holds: delivering([placed, cancelled], true),
    says: ['OrderCancelled', 'consumes(orders, [OrderCancelled])'],
  }),
  ...(
    [
      ['*.example.com', 'many places'],
      ['10.0.0.1', 'bare address'],
      ['[::1]', 'bare address'],
      ['localhost', 'inside'],
      ['orders', 'inside'],
      ['orders.tiny', 'inside'],
      ['orders.tiny.svc.cluster.local', 'inside'],
      ['https://bank.example', 'no full host name'],
      ['bank.example:443', 'no full host name'],
    ] as const
  ).map(([host, says]) =>
    breaking('PLY405', `the host ${host}`, {
      breaks: reaching(host),
      holds: reaching('orders.example.com'),
      says: ['external bank', says],
    }),
  ),
  breaking('PLY405', 'an external without a route', {
    breaks: tiny([
      service('a', {
        edges: [reaches(external('bank', { host: 'bank.example', port: 443, expectedLatencyMs: 9, routes: {} }))],
      }),
    ]),
    holds: reaching('bank.example'),
    says: ['declares no route'],
  }),
  breaking('PLY405', 'two externals at one address', {
    breaks: tiny([
      service('a', { edges: ['bank', 'bank-too'].map((name) => reaches(outside(name, 100, 'bank.example'))) }),
    ]),
    holds: tiny([service('a', { edges: ['bank', 'bank-too'].map((name) => reaches(outside(name, 100))) })]),
    says: ['bank and bank-too are one address'],
  }),
  breaking('PLY405', 'two HTTP externals at two ports of one host', {
    breaks: tiny([service('a', { edges: [443, 8443].map((port) => reaches(onPort(port))) })]),
    holds: tiny([service('a', { edges: [reaches(onPort(443))] })]),
    says: ['bank-443 and bank-8443 are one address', 'HTTP apart by its host'],
  }),
  breaking('PLY408', 'a version that ends before it is deprecated', {
    breaks: versioned({ v1: { deprecated: '2027-06-30', sunset: '2027-06-30' }, v2: {} }),
    holds: versioned({ v1: { deprecated: '2027-06-29', sunset: '2027-06-30' }, v2: {} }),
    says: ['version v1', '2027-06-30', 'not warned'],
  }),
  breaking('PLY408', 'a day that is none', {
    breaks: versioned({ v1: { deprecated: '2027-06-31' }, v2: {} }),
    holds: versioned({ v1: { deprecated: '2027-06-30' }, v2: {} }),
    says: ['"2027-06-31" is no day'],
  }),
  breaking('PLY408', 'a newest version that ends', {
    breaks: versioned({ v1: {}, v2: { deprecated: '2027-01-01' } }),
    holds: versioned({ v1: {}, v2: {} }),
    says: ['version v2', 'newest', 'successor'],
  }),
  breaking('PLY408', 'a version that lacks what nobody has', {
    breaks: versioned({ v1: { lacks: ['reed'] }, v2: {} }),
    holds: versioned({ v1: { lacks: ['read'] }, v2: {} }),
    says: ['reed', 'read and write'],
  }),
  breaking('PLY408', 'versions that no path tells apart', {
    breaks: versioned({ v1: {} }, { read: 'GET /a' }),
    holds: versioned({ v1: {} }, { read: 'GET /{version}/a' }),
    says: ['{version}'],
  }),
  breaking('PLY408', 'a path without its version that is another route', {
    breaks: versioned({ v1: {} }, { read: 'GET /{version}/a', other: 'GET /a' }),
    holds: versioned({ v1: {} }, { read: 'GET /{version}/a', other: 'POST /a' }),
    says: ['other'],
  }),
  ...['shop.example', 'https://shop.example/', 'HTTPS://shop.example', 'https://shop.example:443', 'file://'].map(
    (origin) =>
      breaking('PLY406', `the origin ${origin}`, {
        breaks: front({ ...pages, origins: ['https://a.example', origin] }),
        holds: front({ ...pages, origins: ['https://a.example', 'http://localhost:3000'] }),
        says: ['exposure front', JSON.stringify(origin)],
      }),
  ),
  breaking('PLY406', 'any origin beside one', {
    breaks: front({ ...pages, origins: ['*', 'https://shop.example'] }),
    holds: front({ ...pages, origins: ['*'] }),
    says: ['names some besides'],
  }),
  breaking('PLY406', 'tokens of any page', {
    breaks: front({ ...pages, origins: ['*'], authentication: token }),
    holds: front({ ...pages, origins: ['https://shop.example'], authentication: token }),
    says: ['any origin', 'in place of `*`'],
  }),
  breaking('PLY406', 'origins of machines', {
    breaks: front({ ...pages, client: 'machine', origins: ['https://shop.example'] }),
    holds: front({ ...pages, client: 'machine' }),
    says: ['for machines', "client: 'browser'"],
  }),
  breaking('PLY407', 'a stream of requests from a browser', {
    breaks: front({ client: 'browser', grpcWeb: true }),
    holds: front(pages),
    says: ['uploadOrders and processOrders', 'stream of requests'],
  }),
  breaking('PLY409', 'the same route of two services', {
    breaks: beside('GET /things/{id}', 'GET /things/{name}'),
    holds: beside('GET /things/{id}', 'PUT /things/{name}'),
    says: ['exposure front ↔ exposure side', 'GET /things/{id} (/things/{name}) at any host', '`host` of its own'],
  }),
  breaking('PLY409', 'a route that another swallows', {
    breaks: beside('GET /things/{id}', 'GET /things/newest'),
    holds: beside('GET /things/{id}', 'GET /things/newest/one'),
    says: ['/things/newest'],
  }),
  breaking('PLY409', 'patterns that meet in the middle', {
    breaks: beside('GET /{shop}/things', 'GET /shops/{id}'),
    holds: beside('GET /{shop}/things', 'GET /shops/newest'),
    says: ['GET /{shop}/things (/shops/{id})'],
  }),
  breaking('PLY409', 'the same route at another host', {
    breaks: beside('GET /things', 'GET /things'),
    holds: beside('GET /things', 'GET /things', { host: 'side.example' }),
    says: ['both take GET /things at any host'],
  }),
  breaking('PLY409', 'a route without its version', {
    breaks: beside('GET /things', 'GET /{version}/things', { versions: { v1: {} } }),
    holds: beside('GET /v1/things', 'GET /{version}/more', { versions: { v1: {} } }),
    says: ['GET /things'],
  }),
  breaking('PLY409', 'a method that is open with a token and without', {
    breaks: openTwice(['getOrder', 'listOrders']),
    holds: openTwice(['listOrders']),
    says: ['OrderService/GetOrder'],
  }),
  breaking('PLY501', 'a shared database', {
    breaks: owning('a'),
    holds: owning(),
    says: ['store a ← a ← b', 'postgres()', 'in b'],
  }),
  breaking('PLY502', 'a promise that callees do not allow', {
    breaks: promising(0.981, false),
    holds: promising(0.98, false),
    says: ['98.01 %', '860 minutes a month instead of 821', '0.9801'],
  }),
  breaking('PLY502', 'a callee with a fallback does not count', {
    breaks: promising(0.991, true),
    holds: promising(0.99, true),
    says: ['needs c', '99 %'],
  }),
]
