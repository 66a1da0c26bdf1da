import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external, reaches } from '#graph/external.ts'
import type { CallPolicy } from '#graph/policy.ts'
import { asks, queue, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { answering, api, breaking, type Case, chain, email, outside, tiny } from './systems.ts'

const ordersGrpc = service('orders', { exposes: [OrderService] })
const retry = { attempts: 2 }

/** One caller with one call. */
function calling(policy: CallPolicy) {
  return tiny([answering('b'), service('a', { edges: [calls(api('b'), ['read'], policy)] })])
}

/** Cases of the rules PLY101 to PLY114. */
export const syncCases: readonly Case[] = [
  breaking('PLY101', 'two services wait for each other', {
    breaks: tiny([
      answering('a', [calls(api('b'), ['read'], { deadlineMs: 500 })]),
      answering('b', [calls(api('a'), ['read'], { deadlineMs: 400 })]),
    ]),
    also: ['PLY105'],
    holds: tiny([answering('a', [calls(api('b'), ['read'], { deadlineMs: 500 })]), answering('b')]),
    says: ['a → b.read → a.read', 'a → b → a', '400 ms', 'consumes'],
  }),
  breaking('PLY101', 'a service waits for itself', {
    breaks: tiny([answering('a', [calls(api('a'), ['read'], { deadlineMs: 500 })])]),
    also: ['PLY105'],
    holds: tiny([answering('a')]),
    says: ['a → a'],
  }),
  breaking('PLY102', 'three callees', {
    breaks: tiny([
      ...['b', 'c', 'd'].map((name) => answering(name)),
      service('a', { edges: ['b', 'c', 'd'].map((name) => calls(api(name), ['read'])) }),
    ]),
    holds: tiny([
      ...['b', 'c'].map((name) => answering(name)),
      service('a', {
        edges: [calls(api('b'), ['read']), calls(api('b'), ['write']), calls(api('c'), ['read'])],
      }),
    ]),
    says: ['calls 3 services', '99.7003 %', 'bounds.syncDownstreamMax'],
  }),
  breaking('PLY103', 'three hops', {
    breaks: tiny(chain(['a', 'b', 'c', 'd'])),
    holds: tiny(chain(['a', 'b', 'c'])),
    says: [
      'a → b.read → c.read → d.read',
      '3 hops deep',
      '99.6006 %',
      '2,400 ms',
      "calls(d-api, ['read'], { … }) in c",
    ],
  }),
  breaking('PLY103', 'a bound of the system', {
    breaks: tiny(chain(['a', 'b', 'c']), { bounds: { syncDepthMax: 1 } }),
    holds: tiny(chain(['a', 'b', 'c', 'd']), { bounds: { syncDepthMax: 3 } }),
    says: ['2 hops deep; the bound is 1'],
  }),
  breaking('PLY104', 'no deadline', {
    breaks: calling({ deadlineMs: 0 }),
    holds: calling({ deadlineMs: 1 }),
    says: ['a → b-api.read', 'deadlineMs', 'less than 1'],
  }),
  breaking('PLY104', 'an endless deadline', {
    breaks: calling({ deadlineMs: Number.POSITIVE_INFINITY }),
    holds: calling({ deadlineMs: 60_000 }),
    says: ['nothing bounds it', 'from 1 to 60,000'],
  }),
  breaking('PLY104', 'a breaker that never opens', {
    breaks: calling({ breaker: { failures: Number.NaN, openMs: 30_000 } }),
    holds: calling({ breaker: { failures: 1, openMs: 1 } }),
    says: ['breaker.failures', 'no number'],
  }),
  breaking('PLY105', 'a callee that waits as long as its caller', {
    breaks: tiny(chain(['a', 'b', 'c'], { deadlineMs: 300 })),
    holds: tiny(chain(['a', 'b', 'c'])),
    says: ['a → b.read → c.read', '300 ms', 'below 300'],
  }),
  breaking('PLY105', 'an attempt that is shorter than what the callee waits for', {
    breaks: tiny([
      service('a', { edges: [calls(api('b'), ['read'], { deadlineMs: 1_000, retry })] }),
      answering('b', [calls(api('c'), ['read'], { deadlineMs: 500 })]),
      answering('c'),
    ]),
    holds: tiny([
      service('a', { edges: [calls(api('b'), ['read'], { deadlineMs: 1_000, retry })] }),
      answering('b', [calls(api('c'), ['read'], { deadlineMs: 499 })]),
      answering('c'),
    ]),
    says: ['waits 500 ms for one attempt', 'perTryTimeoutMs'],
  }),
  breaking('PLY105', 'an exposure that gives up first', {
    breaks: tiny([exposed(1_000).service, answering('b')], { exposures: [exposed(1_000).exposure] }),
    holds: tiny([exposed(1_001).service, answering('b')], { exposures: [exposed(1_001).exposure] }),
    says: ['exposure front a → b.read', '1,000 ms'],
  }),
  breaking('PLY105', 'a question over a queue that outlasts the caller', {
    breaks: asking(1_000),
    holds: asking(999),
    says: ['a → b.read → queue quotes'],
  }),
  breaking('PLY106', 'attempts that do not fit', {
    breaks: calling({ deadlineMs: 1_000, retry: { attempts: 3, perTryTimeoutMs: 334 } }),
    holds: calling({ deadlineMs: 1_000, retry: { attempts: 3, perTryTimeoutMs: 333 } }),
    says: ['3 attempts of 334 ms take 1,002 ms', 'Worst-case wait without the deadline: 1,077 ms', 'at most 333'],
  }),
  breaking('PLY106', 'waits that leave no time', {
    breaks: calling({ deadlineMs: 900, retry: { attempts: 2, backoff: { baseMs: 900, maxMs: 5_000 } } }),
    holds: calling({ deadlineMs: 901, retry: { attempts: 2, backoff: { baseMs: 900, maxMs: 5_000 } } }),
    says: ['may take 900 ms'],
  }),
  breaking('PLY106', 'more attempts than there are moments for', {
    breaks: calling({
      deadlineMs: 100,
      retry: { attempts: 50, perTryTimeoutMs: 50, backoff: { baseMs: 1, maxMs: 1 } },
    }),
    holds: calling({ deadlineMs: 100, retry: { attempts: 2, perTryTimeoutMs: 50, backoff: { baseMs: 1, maxMs: 1 } } }),
    also: ['PLY108'],
    says: [
      '50 attempts of 50 ms take 2,500 ms',
      /Set `retry.attempts` to at most 2, or set `deadlineMs` to at least 2,500/,
    ],
  }),
  breaking('PLY106', 'waits that no backoff makes short', {
    breaks: calling({ deadlineMs: 100, retry: { attempts: 50 } }),
    holds: calling({ deadlineMs: 100, retry: { attempts: 3 } }),
    also: ['PLY108'],
    says: ['Set `retry.attempts` to at most 3, or raise'],
  }),
  breaking('PLY106', 'one attempt longer than the deadline', {
    breaks: calling({ deadlineMs: 15, retry: { attempts: 2, perTryTimeoutMs: 20 } }),
    holds: calling({ deadlineMs: 15 }),
    says: ['Take `retry` off'],
  }),
  breaking('PLY107', 'a POST', {
    breaks: tiny([answering('b'), service('a', { edges: [calls(api('b'), ['write'], { retry })] })]),
    holds: calling({ retry }),
    says: ['a → b-api.write', 'POST', 'PUT'],
  }),
  breaking('PLY107', 'an external’s POST', {
    breaks: tiny([service('a', { edges: [reaches(bank('POST /charges'), { retry })] })]),
    holds: tiny([service('a', { edges: [reaches(bank('PUT /charges/{id}'), { retry })] })]),
    says: ['external bank.charge', 'idempotency key'],
  }),
  breaking('PLY107', 'GraphQL', {
    breaks: tiny([
      service('b', { exposes: [{ kind: 'graphql', name: 'front', open: false }] }),
      service('a', { edges: [calls({ kind: 'graphql', name: 'front', open: false }, ['query'], { retry })] }),
    ]),
    holds: tiny([
      service('orders', { exposes: [OrderService] }),
      service('a', { edges: [calls(OrderService, ['createOrder', 'getOrder'], { retry })] }),
    ]),
    says: ['may be a mutation'],
  }),
  breaking('PLY108', 'two layers', {
    breaks: tiny(chain(['a', 'b', 'c'], { retry, deadlineMs: 400 }, {})),
    also: ['PLY105'],
    holds: tiny([
      service('a', { edges: [calls(api('b'), ['read'], { retry })] }),
      ...chain(['b', 'c'], { deadlineMs: 400 }),
    ]),
    says: ['2 × 2 = 4 attempts at the leaf', 'a → b.read → c.read', 'off b → c.read'],
  }),
  breaking('PLY108', 'too many attempts', {
    breaks: calling({ retry: { attempts: 4 } }),
    holds: calling({ retry: { attempts: 3 } }),
    says: ['up to 4 attempts; the bound is 3', '`retry.attempts` of a → b.read to 3'],
  }),
  breaking('PLY108', 'a layer towards the outside, in the middle of a path', {
    breaks: reachingFromTheMiddle({ retry }),
    holds: reachingFromTheMiddle({}),
    says: ['a → b.read → external bank', '2 layers'],
  }),
  breaking('PLY109', 'an interface that nobody exposes', {
    breaks: tiny([service('a', { edges: [calls(api('b'), ['read'])] })]),
    holds: calling({}),
    says: ['a → b-api.read', 'exposes', 'reaches'],
  }),
  breaking('PLY109', 'an exposure of what its service does not expose', {
    breaks: tiny([answering('a')], { exposures: [exposure('front', answering('a'), api('b'))] }),
    holds: tiny([answering('a')], { exposures: [exposure('front', answering('a'), api('a'))] }),
    says: ['exposure front', 'b-api'],
  }),
  breaking('PLY109', 'an exposure of a service that is not there', {
    breaks: tiny([answering('a')], { exposures: [exposure('front', answering('b'), api('b'))] }),
    holds: tiny([answering('a'), answering('b')], { exposures: [exposure('front', answering('b'), api('b'))] }),
    says: ['`services`'],
  }),
  breaking('PLY109', 'no method', {
    breaks: tiny([ordersGrpc, service('a', { edges: [calls(OrderService, [])] })]),
    holds: tiny([ordersGrpc, service('a', { edges: [calls(OrderService, ['getOrder'])] })]),
    says: ['names no method', 'createOrder, getOrder, getOrderDetail'],
  }),
  breaking('PLY110', 'two services for one interface', {
    breaks: tiny([ordersGrpc, service('orders-too', { exposes: [OrderService] })]),
    holds: tiny([ordersGrpc, service('orders-too', { exposes: [InventoryService] })]),
    says: ['parley.orders.v1.OrderService', 'orders and orders-too'],
  }),
  breaking('PLY111', 'two breakers', {
    breaks: tiny([answering('b'), twoEdges({ breaker: { failures: 6, openMs: 30_000 } })]),
    holds: tiny([answering('b'), twoEdges({ breaker: { failures: 5, openMs: 30_000 }, deadlineMs: 1 })]),
    says: ['a → b', 'different breaker', '{ failures: 5, openMs: 30000 }'],
  }),
  breaking('PLY111', 'two limits', {
    breaks: tiny([answering('b'), twoEdges({ limits: { pendingMax: 1 } })]),
    holds: tiny([answering('b'), twoEdges({ limits: { pendingMax: 100 } })]),
    says: ['different limits'],
  }),
  breaking('PLY112', 'a method in two edges', {
    breaks: tiny([
      answering('b'),
      service('a', { edges: [calls(api('b'), ['read']), calls(api('b'), ['read', 'write'])] }),
    ]),
    holds: tiny([answering('b'), service('a', { edges: [calls(api('b'), ['read']), calls(api('b'), ['write'])] })]),
    says: ['→ b-api.read', 'more than one edge'],
  }),
  breaking('PLY113', 'gRPC and REST on one port', {
    breaks: tiny([service('a', { exposes: [OrderService, api('a')] })]),
    holds: tiny([service('a', { exposes: [OrderService, InventoryService] })]),
    says: ['gRPC (OrderService)', 'HTTP (a-api)'],
  }),
  breaking('PLY114', 'a stream under the policy of a call', {
    breaks: listing([calls(OrderService, ['getOrder', 'listOrders'], { deadlineMs: 1_000 })]),
    holds: listing([
      calls(OrderService, ['getOrder'], { deadlineMs: 1_000 }),
      calls(OrderService, ['listOrders'], { deadlineMs: 900_000, idleMs: 60_000 }),
    ]),
    says: ['streams (listOrders)', "calls(OrderService, ['listOrders'], { deadlineMs: 900_000 })"],
  }),
  breaking('PLY114', 'a bound on the silence of a call', {
    breaks: listing([calls(OrderService, ['getOrder'], { idleMs: 60_000 })]),
    holds: listing([calls(OrderService, ['getOrder'])]),
    says: ['nothing streams', 'Take `idleMs` off'],
  }),
]

/** A service that lists orders; orders itself waits for a stock check, which ends long before any stream. */
function listing(edges: readonly ReturnType<typeof calls>[]) {
  return tiny([
    service('a', { edges: [...edges] }),
    service('orders', {
      exposes: [OrderService],
      edges: [calls(InventoryService, ['checkStock'], { deadlineMs: 300 })],
    }),
    service('inventory', { exposes: [InventoryService] }),
  ])
}

function exposed(deadlineMs: number) {
  const node = answering('a', [calls(api('b'), ['read'])])
  return { service: node, exposure: exposure('front', node, api('a'), { deadlineMs }) }
}

function asking(deadlineMs: number) {
  const quotes = queue('quotes', { carries: [email], replies: email })
  return tiny([
    service('a', { edges: [calls(api('b'), ['read'])] }),
    answering('b', [asks(quotes, { deadlineMs })]),
    service('c', { edges: [works(quotes)] }),
  ])
}

function bank(route: 'POST /charges' | 'PUT /charges/{id}') {
  return external('bank', { host: 'bank.example', port: 443, expectedLatencyMs: 100, routes: { charge: route } })
}

function reachingFromTheMiddle(policy: CallPolicy) {
  return tiny([
    service('a', { edges: [calls(api('b'), ['read'], { retry })] }),
    answering('b', [calls(api('c'), ['read'], { deadlineMs: 100 }), reaches(outside('bank', 100), policy)]),
    answering('c'),
  ])
}

function twoEdges(second: CallPolicy) {
  return service('a', { edges: [calls(api('b'), ['read']), calls(api('b'), ['write'], second)] })
}
