import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import type { Link, Plan, PlannedRetry } from '#plan/plan.ts'
import { type ServiceSlice, slicesOf } from '#plan/slices.ts'
import { expectGolden, yamlFiles } from '#test/golden.ts'
import type { Manifest } from '../manifest.ts'
import { outlierDetection } from './breaker.ts'
import { concurrency } from './limits.ts'
import { pathsRegex, policyPath } from './match.ts'
import { notSupported } from './not-supported.ts'
import { nameOf } from './objects.ts'
import { renderService, renderSystem } from './render.ts'
import { retries, retryBudget } from './retries.ts'
import { faults, market } from './testdata/cases.ts'

const { plan, site } = market('kind')
const slices = slicesOf(plan)
const rendered = [...[...slices.values()].flatMap((slice) => renderService(site, slice)), ...renderSystem(site, plan)]

const retry: PlannedRetry = {
  attempts: 3,
  perTryTimeoutMs: 100,
  on: ['internal'],
  backoff: { baseMs: 25, maxMs: 250 },
  budget: { percent: 20, concurrentMin: 3 },
}

describe('golden', () => {
  test('a market on kind', () => {
    const services = [...slices].map(([name, slice]) => [name, renderService(site, slice)])
    const files = yamlFiles(Object.fromEntries([...services, ['system', renderSystem(site, plan)]]))
    expectGolden(join(import.meta.dirname, 'testdata', 'market'), files)
  })

  test('what is outside, in production', () => {
    const production = market('production')
    const teller = slicesOf(production.plan).get('teller')
    if (!teller) throw new Error('no teller')
    const objects = {
      teller: renderService(production.site, teller),
      system: outsideOf(renderSystem(production.site, production.plan)),
    }
    expectGolden(join(import.meta.dirname, 'testdata', 'outside'), yamlFiles(objects))
  })

  test('a fault at each end', () => {
    const clean = new Set(rendered.map((object) => JSON.stringify(object)))
    const hit = [
      ...[...slices.values()].flatMap((slice) => renderService(site, slice, faults)),
      ...renderSystem(site, plan, faults),
    ].filter((object) => !clean.has(JSON.stringify(object)))
    expectGolden(join(import.meta.dirname, 'testdata', 'faults'), yamlFiles({ changed: hit }))
  })
})

describe('names', () => {
  test('no two objects of one kind share one, each is a DNS name of at most 63 characters', () => {
    const long = `${'a-name-'.repeat(8)}is-long`
    const objects = [...rendered, ...renderLong(long)]
    const keys = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    expect(new Set(keys).size).toBe(keys.length)
    for (const { metadata } of objects) {
      expect(metadata.name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
      expect(metadata.name.length).toBeLessThanOrEqual(63)
      expect(metadata.namespace).toBe('market')
    }
  })

  test('names that a dash would make equal stay apart', () => {
    expect(nameOf('a-b', 'c')).not.toBe(nameOf('a', 'b-c'))
  })
})

describe('access', () => {
  test('each grant is allowed once, and nothing else is', () => {
    const granted = plan.grants.calls.map(({ from, to, verb, path }) => `${from} ${to} ${verb} ${policyPath(path)}`)
    const exposed = plan.exposures.flatMap(({ service, methods }) =>
      methods.map(({ verb, path }) => `market-istio ${service} ${verb} ${policyPath(path)}`),
    )
    expect(rendered.flatMap(allowed).sort()).toEqual([...granted, ...exposed].sort())
  })

  test('an exposure that asks for tokens lets nobody in without one', () => {
    const policy = find('AuthorizationPolicy', 'stock.inventory.exposure').spec as { rules: unknown[] }
    expect(policy.rules).toMatchObject([
      {
        from: [{ source: { requestPrincipals: ['https://issuer.example/*'] } }],
        when: [{ key: 'request.auth.audiences', values: ['market'] }],
      },
    ])
  })

  test('strangers do not decide which traces are kept where a share is; where all are, one may begin outside', () => {
    const dropped = (environment: 'kind' | 'production') => {
      const of = market(environment)
      const edge = renderSystem(of.site, of.plan).find(
        ({ kind, metadata }) => `${kind} ${metadata.name}` === 'EnvoyFilter edge',
      )
      return [...JSON.stringify(edge?.spec).matchAll(/"remove":"([a-z-]+)"/g)].map(([, header]) => header)
    }
    expect(dropped('production')).toEqual(['traceparent', 'tracestate', 'x-client-trace-id'])
    expect(dropped('kind')).toEqual([])
  })

  test('a name in a path stands for one segment, and the query is no part of it', () => {
    expect(policyPath('/v1.0/orders/{id}/items/{item}')).toBe('/v1.0/orders/{*}/items/{*}')
    const whole = new RegExp(`^(?:${pathsRegex(['/v1.0/orders/{id}', '/health'])})$`)
    for (const path of ['/v1.0/orders/o-1', '/v1.0/orders/o-1?full=1', '/health']) expect(whole.test(path)).toBe(true)
    for (const path of ['/v1x0/orders/o', '/v1.0/orders/', '/v1.0/orders/a/b', '/healthy'])
      expect(whole.test(path)).toBe(false)
  })

  test('a sidecar knows what its service declared, and no address beside it', () => {
    const hosts = (name: string) =>
      (find('Sidecar', name).spec as { egress: { hosts: string[] }[] }).egress
        .flatMap((listener) => listener.hosts)
        .sort()
    const collector = 'observability/jaeger-collector.observability.svc.cluster.local'
    expect(hosts('catalog')).toEqual([collector])
    expect(hosts('orders')).toEqual([
      './bank.example',
      './inventory.market.svc.cluster.local',
      './market-kafka-kafka-bootstrap.market.svc.cluster.local',
      './market-kafka-kafka-brokers.market.svc.cluster.local',
      './market-postgres-rw.market.svc.cluster.local',
      collector,
    ])
    for (const { spec } of rendered.filter(({ kind }) => kind === 'Sidecar'))
      expect(spec).toMatchObject({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })
  })
})

describe('rules', () => {
  test('every rule that leads somewhere says whether it is tried again, and the last of a host that it is not', () => {
    for (const { spec } of rendered.filter(({ kind }) => kind === 'VirtualService')) {
      const { http } = spec as { http: Rule[] }
      for (const rule of http.filter(({ route }) => route)) expect(rule.retries?.attempts).toBeGreaterThanOrEqual(0)
      const last = http.at(-1)
      expect(last?.match).toBeUndefined()
      expect(last?.directResponse ? 403 : last?.retries).toEqual(
        last?.directResponse ? last.directResponse.status : { attempts: 0 },
      )
    }
  })

  test('nothing outside is told what proxies say to each other', () => {
    const { http } = find('VirtualService', 'bank.external').spec as { http: Rule[] }
    const remove = ['x-envoy-attempt-count', 'x-envoy-decorator-operation', 'x-envoy-expected-rq-timeout-ms']
    const routed = http.filter(({ route }) => route)
    expect(routed.length).toBeGreaterThan(0)
    for (const rule of routed) expect(rule).toMatchObject({ headers: { request: { remove } } })
  })

  test('a rule is for one caller, with its own deadline', () => {
    const { http } = find('VirtualService', 'orders').spec as { http: Rule[] }
    expect(http.map(({ timeout }) => timeout)).toEqual(['1s', '0.5s', undefined])
    for (const rule of http.slice(0, -1))
      for (const match of rule.match ?? []) expect(match.sourceLabels).toEqual({ app: 'gateway' })
  })
})

describe('policies', () => {
  test('retries are one less than attempts; one attempt is none, and says nothing more', () => {
    expect(retries(retry, 'grpc')).toEqual({
      attempts: 2,
      perTryTimeout: '0.1s',
      backoff: '0.025s',
      retryOn: 'internal',
    })
    expect(retries({ ...retry, attempts: 1 }, 'grpc')).toEqual({ attempts: 0 })
    expect(retries(null, 'http')).toEqual({ attempts: 0 })
  })

  test('an attempt without an answer is tried again whichever proxy ends it', () => {
    expect(retries({ ...retry, on: ['unavailable'] }, 'grpc')).toMatchObject({
      retryOn: 'unavailable,deadline-exceeded,gateway-error,connect-failure,refused-stream,reset',
    })
    expect(retries({ ...retry, on: ['unavailable'] }, 'http')).toMatchObject({
      retryOn: 'connect-failure,refused-stream,reset,502,503,504',
    })
  })

  test('a status that Istio refuses is left out, and told of', () => {
    expect(retries({ ...retry, on: ['cancelled'] }, 'http')).toEqual({ attempts: 0 })
    expect(retries({ ...retry, on: ['cancelled', 'internal'] }, 'http')).toMatchObject({ retryOn: '500' })
    const [link] = plan.links.filter(({ protocol }) => protocol === 'http')
    if (!link) throw new Error('no REST')
    const asked = link.routes.map((route) => ({ ...route, retry: { ...retry, on: ['cancelled'] as const } }))
    expect(notSupported({ ...plan, links: [{ ...link, routes: asked }] })).toContainEqual(
      expect.objectContaining({ where: 'calls of gateway to catalog', what: 'retrying on cancelled' }),
    )
  })

  test('a breaker opens with one replica, and looks often enough', () => {
    expect(outlierDetection({ failures: 5, openMs: 10_000 })).toEqual({
      consecutive5xxErrors: 5,
      interval: '0.5s',
      baseEjectionTime: '10s',
      maxEjectionPercent: 100,
    })
  })

  test('a bound on what waits is for HTTP/1.1 alone', () => {
    const limits = { concurrentMax: 3, pendingMax: 1 }
    expect(concurrency(limits, 'grpc')).toMatchObject({ http: { http2MaxRequests: 3 } })
    expect(JSON.stringify(concurrency(limits, 'grpc'))).not.toContain('http1')
    expect(concurrency(limits, 'http')).toMatchObject({ http: { http2MaxRequests: 3, http1MaxPendingRequests: 1 } })
  })

  test('edges to one callee share the strictest budget, and it is told of', () => {
    const generous = { ...retry, budget: { percent: 50, concurrentMin: 1 } }
    expect(retryBudget([generous, null, retry])).toEqual({ retryBudget: { percent: 20, minRetryConcurrency: 1 } })
    expect(retryBudget([null])).toEqual({})
    const [link] = plan.links
    const [route] = link?.routes ?? []
    if (!link || !route) throw new Error('no link')
    const mixed: Link = {
      ...link,
      routes: [
        { ...route, retry },
        { ...route, retry: generous },
      ],
    }
    expect(notSupported({ ...plan, links: [mixed] })).toContainEqual(
      expect.objectContaining({ what: 'a retry budget of each edge' }),
    )
  })

  test('what comes through an exposure does not count towards the rate of the service', () => {
    const filter = JSON.stringify(find('EnvoyFilter', 'gateway.rate'))
    expect(filter).toContain('"token_bucket":{"max_tokens":50,"tokens_per_fill":50,')
    expect(filter).toContain('"always_consume_default_token_bucket":false')
    expect(filter).toContain('"suffix":"URI=spiffe://cluster.local/ns/market/sa/market-istio"')
  })

  test('two TCP systems at one port are told of where no Service plays them', () => {
    const fax = { ...plan.externals.find(({ name }) => name === 'mail'), name: 'fax', host: 'fax.example' }
    const two = (environment: 'kind' | 'production') => {
      const { egress, externals, ...rest } = market(environment).plan
      const [mail] = egress.filter(({ external }) => external === 'mail')
      return notSupported({
        ...rest,
        externals: [...externals, fax],
        egress: [...egress, { ...mail, external: 'fax' }],
      } as Plan)
    }
    const told = expect.objectContaining({ where: 'teller reaching mail and fax', what: 'two TCP systems at port 587' })
    expect(two('production')).toContainEqual(told)
    expect(two('kind')).not.toContainEqual(told)
  })

  test('what sidecars do not do is told', () => {
    expectGolden(join(import.meta.dirname, 'testdata', 'not-supported'), yamlFiles({ market: notSupported(plan) }))
  })
})

type Rule = {
  readonly match?: readonly { readonly sourceLabels: unknown }[]
  readonly timeout?: string
  readonly retries?: { readonly attempts: number }
  readonly route?: unknown
  readonly directResponse?: { readonly status: number }
}

function find(kind: string, name: string): Manifest {
  const found = rendered.find((object) => object.kind === kind && object.metadata.name === name)
  if (!found) throw new Error(`no ${kind} ${name}`)
  return found
}

/** What an AuthorizationPolicy of a service allows, as `caller callee verb path`. */
function allowed({ kind, spec }: Manifest): string[] {
  const { selector, rules } = spec as {
    selector?: { matchLabels: { app: string } }
    rules?: {
      from: { source: { principals: string[] } }[]
      to: { operation: { methods: string[]; paths: string[] } }[]
    }[]
  }
  if (kind !== 'AuthorizationPolicy' || !selector) return []
  return (rules ?? []).flatMap(({ from, to }) =>
    from.flatMap(({ source }) =>
      source.principals.flatMap((principal) =>
        to.flatMap(({ operation: { methods, paths } }) =>
          methods.flatMap((verb) =>
            paths.map((path) => `${principal.split('/').at(-1)} ${selector.matchLabels.app} ${verb} ${path}`),
          ),
        ),
      ),
    ),
  )
}

/** The market's gateway and a callee of it, under names as long as they may be. */
function renderLong(name: string): readonly Manifest[] {
  const slice = slices.get('gateway') as ServiceSlice
  const [exposure] = slice.exposures
  const calls = slice.calls.map((link, index) => ({ ...link, from: name, to: `${name.slice(0, -1)}${index}` }))
  const exposures = exposure ? [{ ...exposure, service: name }] : []
  return renderService(site, { ...slice, service: { ...slice.service, name }, calls, calledBy: [], exposures })
}

function outsideOf(objects: readonly Manifest[]): readonly Manifest[] {
  return objects.filter(({ kind }) => kind === 'ServiceEntry' || kind === 'VirtualService')
}
