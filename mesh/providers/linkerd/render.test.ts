import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Fault } from '#plan/fault.ts'
import type { Manifest } from '#providers/manifest.ts'
import { expectGolden, yamlFiles } from '#test/golden.ts'
import { capabilities } from './capabilities.ts'
import { pathsOverlap } from './match.ts'
import { bypassedPorts, podAnnotations } from './mtls.ts'
import { methodNames } from './names.ts'
import { faultNotSupported, notSupported } from './not-supported.ts'
import { renderService, renderSystem, serviceAnnotations } from './render.ts'
import { planOf, siteFor, sliceOf } from './testdata/cases.ts'

const plan = planOf('production')
const site = siteFor(plan)
const rendered = (name: string, faults: readonly Fault[] = []) => renderService(site, sliceOf(plan, name), faults)

test('golden', () => {
  const services = plan.services.map(({ name }) => {
    const slice = sliceOf(plan, name)
    const annotations = { service: serviceAnnotations(slice), pod: podAnnotations(site, slice) }
    return [name, { annotations, objects: rendered(name) }] as const
  })
  const kind = planOf('kind')
  expectGolden(
    join(import.meta.dirname, 'testdata', 'small'),
    yamlFiles({
      ...Object.fromEntries(services),
      system: renderSystem(site, plan),
      'system-kind': routesOf(renderSystem(siteFor(kind), kind)),
      'not-supported': notSupported(plan),
    }),
  )
})

describe('access', () => {
  test('every port refuses what no route allows, and no port has two kinds of route', () => {
    for (const { name, protocol } of plan.services.filter((service) => service.protocol)) {
      const objects = rendered(name)
      const inbound = routesOf(objects).filter((route) => parentOf(route).kind === 'Server')
      const kinds = new Set(inbound.map(({ kind }) => kind))
      expect([name, protocol, kinds.size]).toEqual([name, protocol, 1])
      const refusal = inbound.find(({ metadata }) => metadata.name === `${name}.refuse`)
      expect(refusal).toBeDefined()
      expect(objects.filter((one) => one.kind === 'AuthorizationPolicy').map(targetOf)).not.toContain(`${name}.refuse`)
    }
  })

  test('nothing that has no identity may ask an interface', () => {
    const authentications = plan.services.flatMap(({ name }) =>
      rendered(name)
        .filter(({ kind }) => kind === 'AuthorizationPolicy')
        .flatMap(({ spec }) => (spec as { requiredAuthenticationRefs: { kind: string }[] }).requiredAuthenticationRefs),
    )
    expect(new Set(authentications.map(({ kind }) => kind))).toEqual(new Set(['MeshTLSAuthentication']))
  })

  test('a service with a rate limit is opened by path over HTTP/2, and retried by GRPCRoutes all the same', () => {
    const objects = rendered('inventory')
    expect(objects.find(({ kind }) => kind === 'Server')?.spec).toMatchObject({ proxyProtocol: 'HTTP/2' })
    const kinds = routesOf(objects).map((route) => [parentOf(route).kind, route.kind])
    expect(new Set(kinds.map(String))).toEqual(new Set(['Server,HTTPRoute', 'Service,GRPCRoute']))
  })

  test('what is exposed is granted to the gateway in its own namespace, and to nobody else', () => {
    const granted = rendered('gateway').filter(({ kind }) => kind === 'MeshTLSAuthentication')
    expect(granted.map(({ metadata }) => metadata.name)).toEqual([
      'gateway.allow.read',
      'gateway.allow.openapi',
      'gateway.allow.openapi-shop-api',
      'gateway.allow.place',
    ])
    const identityRefs = [{ kind: 'ServiceAccount', name: 'small-edge', namespace: 'envoy-gateway-system' }]
    for (const { spec } of granted) expect(spec).toEqual({ identityRefs })
  })
})

describe('the edge', () => {
  const slice = sliceOf(plan, 'gateway')
  const [shop] = slice.exposures
  if (!shop) throw new Error('the gateway has no exposure')
  const rateOf = (exposures: typeof slice.exposures) =>
    renderService(site, { ...slice, exposures }).find(({ kind }) => kind === 'HTTPLocalRateLimitPolicy')?.spec

  test('an exposure that asks for tokens lets nobody in, and says so', () => {
    const authentication = { kind: 'jwt', issuer: 'https://issuer.example', audience: 'shop' } as const
    const exposures = [{ ...shop, authentication }]
    const kinds = renderService(site, { ...slice, exposures }).map(({ kind }) => kind)
    expect(kinds).not.toContain('MeshTLSAuthentication')
    expect(notSupported({ ...plan, exposures }).filter(({ where }) => where === 'exposure shop')).toEqual([
      { where: 'exposure shop', what: 'authentication by token', reason: capabilities.tokens.notSupported },
    ])
  })

  test('the gateway may ask for the sum of the limits, or for anything where one has none', () => {
    const account = { kind: 'ServiceAccount', name: 'small-edge', namespace: 'envoy-gateway-system' }
    const limited = { ...shop, rateLimit: { perSecond: 50, burst: 50, perClient: null } }
    expect(rateOf([limited, { ...limited, name: 'second' }])).toMatchObject({
      overrides: [{ requestsPerSecond: 100, clientRefs: [account] }],
    })
    expect(rateOf([limited, { ...limited, name: 'free', rateLimit: null }])).toBeUndefined()
  })
})

describe('calls', () => {
  test('a Service with routes has one for the rest, so that its callee answers for it', () => {
    for (const name of ['orders', 'inventory', 'pricing']) {
      const rest = rendered(name).find(({ metadata }) => metadata.name === `${name}.call`)
      expect(rest?.metadata.annotations).toBeUndefined()
    }
    expect(rendered('orders').find(({ metadata }) => metadata.name === 'orders.call')?.spec).toMatchObject({
      rules: [{}],
    })
  })

  test('callers that differ get the longest deadline, no retry unless all declare one, and the loosest breaker', () => {
    const shared = rendered('orders').find(({ metadata }) => metadata.name === 'orders.call.get-order')
    expect(shared?.metadata.annotations).toEqual({ 'timeout.linkerd.io/request': '800ms' })
    expect(serviceAnnotations(sliceOf(plan, 'orders'))).toMatchObject({
      'balancer.linkerd.io/failure-accrual-consecutive-max-failures': '9',
      'balancer.linkerd.io/failure-accrual-consecutive-min-penalty': '5000ms',
      'balancer.linkerd.io/failure-accrual-consecutive-max-penalty': '5000ms',
    })
    const said = notSupported(plan).filter(({ where }) => where.startsWith('calls to orders'))
    expect(said.map(({ what }) => what)).toEqual([
      'a deadline of each caller (gateway 500 ms, support 800 ms)',
      'a retry of each caller (gateway no retry, support 2 attempts)',
      'a breaker of each caller (gateway 5 failures and 90000 ms, support 9 failures and 5000 ms)',
    ])
  })

  test('an open breaker is remembered for longer than it is open', () => {
    const memory = 'config.linkerd.io/proxy-outbound-discovery-cache-unused-timeout'
    expect(podAnnotations(site, sliceOf(plan, 'gateway'))[memory]).toBe('180s')
    expect(podAnnotations(site, sliceOf(plan, 'support'))[memory]).toBe('120s')
    expect(podAnnotations(site, sliceOf(plan, 'inventory'))).toEqual({})
  })

  test('every annotation of time is whole milliseconds or seconds, which is all that Linkerd reads', () => {
    const fractions = plan.services.flatMap(({ name }) =>
      rendered(name).flatMap(({ metadata }) => Object.entries(metadata.annotations ?? {})),
    )
    const times = fractions.filter(([name]) => name.includes('timeout'))
    expect(times.length).toBeGreaterThan(3)
    expect(times.filter(([, value]) => !/^\d+(ms|s)$/.test(value))).toEqual([])
  })
})

describe('faults', () => {
  const fault: Fault = {
    at: 'callee',
    from: 'orders',
    to: 'inventory',
    path: null,
    percent: 20,
    effect: { kind: 'abort', status: 'unavailable' },
  }
  const faulty = (name: string, one: Fault) => JSON.stringify(rendered(name, [one])).includes('small-fault')

  test('an abort is a weighted route that tells the status', () => {
    const route = rendered('inventory', [fault]).find(({ metadata }) => metadata.name === 'inventory.call.check-stock')
    expect(route?.spec).toMatchObject({
      rules: [
        {
          backendRefs: [
            { name: 'inventory', weight: 8_000 },
            { name: 'small-fault', weight: 2_000 },
          ],
        },
      ],
    })
    expect(JSON.stringify(route)).toContain('{"name":"x-parley-fault","value":"14"}')
  })

  test('what Linkerd cannot do is not done by halves', () => {
    const slice = sliceOf(plan, 'inventory')
    expect(faultNotSupported(slice, { ...fault, at: 'caller' }).reason).toBe(capabilities.faults.but.at)
    expect(faultNotSupported(slice, fault).what).toBe('failures that the breaker counts')
    expect(faulty('inventory', { ...fault, at: 'caller' })).toBe(false)
    expect(faulty('inventory', { ...fault, effect: { kind: 'delay', delayMs: 100 } })).toBe(false)
    const get = '/parley.orders.v1.OrderService/GetOrder'
    expect(faulty('orders', { ...fault, from: 'gateway', to: 'orders', path: get })).toBe(false)
    expect(faulty('orders', { ...fault, from: 'gateway', to: 'orders', path: get.replace('Get', 'Create') })).toBe(true)
  })
})

describe('egress', () => {
  test('what a stand-in plays in HTTP is wanting nothing that is wanting of the real system', () => {
    const said = (environment: 'kind' | 'production') =>
      notSupported(planOf(environment)).filter(({ where }) => where.startsWith('pricing → rates'))
    expect(said('production').map(({ what }) => what)).toEqual(['breaker and limits', 'egress of one service alone'])
    expect(said('kind')).toEqual([])
    const limits = notSupported(planOf('kind')).find(({ what }) => what.startsWith('limits on'))
    expect(limits?.where).toContain('pricing → rates')
  })

  test('only the ports of declared TLS and TCP pass the proxy by, and never that of the services', () => {
    expect(bypassedPorts(site, sliceOf(plan, 'pricing'))).toEqual([443, 587])
    expect(bypassedPorts(site, sliceOf(plan, 'orders'))).toEqual([])
    const delivering = { ...sliceOf(plan, 'orders'), webhooks: derive(shop, 'production').webhooks }
    expect(bypassedPorts(site, delivering)).toEqual([443])
    const slice = sliceOf(plan, 'pricing')
    const moved = slice.egress.map((reach) => ({ ...reach, external: { ...reach.external, port: 8080 } }))
    expect(bypassedPorts(site, { ...slice, egress: moved })).toEqual([])
  })
})

describe('names and paths', () => {
  const method = (name: string, path: string) => ({ name, verb: 'GET', path, streaming: false })

  test('no two methods share a name, whatever they are called', () => {
    const methods = [
      method('read', '/a'),
      method('read', '/b'),
      method('get.All', '/c'),
      method('get-all', '/D'),
      method('', '/é'),
      method('x', '/d'),
    ]
    const names = [...methodNames([...methods, method('read', '/a')]).values()]
    expect(names).toHaveLength(methods.length)
    expect(new Set(names).size).toBe(methods.length)
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
  })

  test('an exact path and a pattern that mean the same request are told', () => {
    expect(pathsOverlap('/orders/latest', '/orders/{id}')).toBe(true)
    expect(pathsOverlap('/orders/{id}', '/orders/{id}/lines')).toBe(false)
    expect(pathsOverlap('/orders/{id}', '/prices/{id}')).toBe(false)
  })
})

function routesOf(objects: readonly Manifest[]): readonly Manifest[] {
  return objects.filter(({ kind }) => kind === 'GRPCRoute' || kind === 'HTTPRoute')
}

function parentOf(route: Manifest): { kind: string } {
  const { parentRefs } = route.spec as { parentRefs: { kind: string }[] }
  const [parent] = parentRefs
  if (!parent) throw new Error(`${route.metadata.name} has no parent`)
  return parent
}

function targetOf(policy: Manifest): string {
  return (policy.spec as { targetRef: { name: string } }).targetRef.name
}
