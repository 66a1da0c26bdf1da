import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { type Fault, faultAt } from '#plan/fault.ts'
import type { Plan, PlannedRetry } from '#plan/plan.ts'
import { expectGolden, yamlFiles } from '#test/golden.ts'
import { authorization } from './authorization.ts'
import { outlierDetection } from './breaker.ts'
import { edgeRoutes } from './edge.ts'
import { edgeRate } from './limits.ts'
import { pathMatch } from './match.ts'
import { notSupported, render, watchedFiles } from './render.ts'
import { retryBudget, retryPolicy } from './retries.ts'
import { cases, chain, siteOf } from './testdata/cases.ts'

const retry: PlannedRetry = {
  attempts: 3,
  perTryTimeoutMs: 100,
  on: ['internal'],
  backoff: { baseMs: 25, maxMs: 250 },
  budget: { percent: 20, concurrentMin: 3 },
}

describe('golden', () => {
  test.each(cases)('$name', ({ name, plan, service, faults, files }) => {
    const rendered = render(plan, service, siteOf(plan, service), faults)
    const { static_resources, ...bootstrap } = rendered['bootstrap.json'] as { static_resources: object }
    const parts: Readonly<Record<string, unknown>> = { bootstrap, ...static_resources }
    const shown = files.map((file) => [file, parts[file] ?? rendered[`${file}.json`]])
    expectGolden(join(import.meta.dirname, 'testdata', name), yamlFiles(Object.fromEntries(shown)))
  })
})

describe('access', () => {
  test('each grant is one policy, and there is no other', () => {
    for (const { name } of chain.services) {
      const granted = chain.grants.calls.filter((grant) => grant.to === name)
      const { policies } = rulesOf(authorization(chain, name))
      expect(Object.keys(policies)).toEqual(granted.map(({ from, verb, path }) => `${from} ${verb} ${path}`))
    }
  })

  test('a service that nobody may call does not listen to other sidecars', () => {
    const names = (service: string) => listenerNames(render(chain, service, siteOf(chain, service)))
    expect(names('gateway')).toEqual(['outbound', 'edge', 'metrics'])
    expect(names('orders')).toEqual(['inbound', 'outbound', 'metrics'])
    expect(names('inventory')).toEqual(['inbound', 'metrics'])
  })

  test('a name in a path stands for one segment that is not empty, and a dot for a dot', () => {
    const { safe_regex } = pathMatch('/v1.0/orders/{id}/items/{item}') as { safe_regex: { regex: string } }
    const whole = new RegExp(`^(?:${safe_regex.regex})$`)
    expect(whole.test('/v1.0/orders/o-1/items/3')).toBe(true)
    for (const path of [
      '/v1.0/orders//items/3',
      '/v1x0/orders/o/items/3',
      '/v1.0/orders/a/b/items/3',
      '/v1.0/orders/o',
    ])
      expect([path, whole.test(path)]).toEqual([path, false])
  })

  test('an exposure that asks for tokens lets nobody in, and says so', () => {
    const authentication = { kind: 'jwt', issuer: 'https://issuer.example', audience: 'shop' } as const
    const plan: Plan = { ...chain, exposures: chain.exposures.map((exposure) => ({ ...exposure, authentication })) }
    expect(JSON.stringify(edgeRoutes(plan, 'gateway'))).not.toContain('"cluster"')
    expect(notSupported(plan)).toMatchObject([{ where: 'exposure shop', what: 'authentication by token' }])
    expect(notSupported(chain)).toEqual([])
  })
})

test('a sidecar watches what changes while it runs, and nothing that another declaration alone changes', () => {
  const watched = (service: string) => [...watchedFiles(render(chain, service, siteOf(chain, service)))].sort()
  const secrets = (service: string) => ['authority', 'certificate'].map((name) => `/run/certs/${service}/${name}.json`)
  const routes = (service: string, ...names: string[]) => names.map((name) => `/run/envoy/${service}/${name}.json`)
  expect(watched('orders')).toEqual([...secrets('orders'), ...routes('orders', 'inbound', 'outbound')])
  expect(watched('gateway')).toEqual([...secrets('gateway'), ...routes('gateway', 'outbound')])
})

describe('policies', () => {
  test('attempts are one more than retries, and reasons are those declared', () => {
    expect(retryPolicy(retry, 'grpc')).toMatchObject({ retry_on: 'internal', num_retries: 2, per_try_timeout: '0.1s' })
    expect(retryPolicy({ ...retry, on: ['resource-exhausted'] }, 'http')).toMatchObject({
      retry_on: 'retriable-status-codes',
      retriable_status_codes: [429],
    })
  })

  test('an attempt without an answer counts as unavailable', () => {
    const { retry_on } = retryPolicy({ ...retry, on: ['unavailable'] }, 'grpc')
    expect(retry_on).toBe('unavailable,deadline-exceeded,connect-failure,refused-stream,reset')
  })

  test('routes to one callee share the strictest budget; without retries there is nothing to spend', () => {
    const generous = { ...retry, budget: { percent: 50, concurrentMin: 1 } }
    expect(retryBudget([generous, null, retry])).toEqual({
      retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 1 },
    })
    expect(retryBudget([null])).toEqual({ max_retries: 0 })
  })

  test.each([
    [100, '0.05s', '0.1s', '300s'],
    [10_000, '0.5s', '10s', '300s'],
    [600_000, '1s', '600s', '600s'],
  ])('a breaker that opens for %i ms looks every %s', (openMs, interval, base, most) => {
    expect(outlierDetection({ failures: 5, openMs })).toMatchObject({
      consecutive_5xx: 5,
      interval,
      base_ejection_time: base,
      max_ejection_time: most,
    })
  })

  test('an exposure without a rate limit is not held to the limit of its neighbour', () => {
    const [shop] = chain.exposures
    if (!shop) throw new Error('no exposure')
    const [filter] = edgeRate([shop, { ...shop, name: 'free', rateLimit: null }])
    expect(JSON.stringify(filter)).toContain('"value":"free"}],"token_bucket":{"max_tokens":1000000')
    expect(edgeRate([{ ...shop, rateLimit: null }])).toEqual([])
  })

  test('a fault hits its own edge alone', () => {
    const effect = { kind: 'delay', delayMs: 1 } as const
    const fault: Fault = { at: 'caller', from: 'a', to: 'b', path: '/x', percent: 1, effect }
    const edge = { at: 'caller', from: 'a', to: 'b', path: '/x' } as const
    expect(faultAt([fault], edge)).toBe(fault)
    expect(faultAt([{ ...fault, path: null }], edge)).toBeDefined()
    for (const other of [{ at: 'callee' }, { from: 'c' }, { to: 'c' }, { path: '/y' }] as const)
      expect(faultAt([fault], { ...edge, ...other })).toBeUndefined()
  })

  test('a fault at the caller hits an HTTP system outside too', () => {
    const effect = { kind: 'abort', status: 'unavailable' } as const
    const fault: Fault = { at: 'caller', from: 'teller', to: 'bank', path: '/charges/{id}', percent: 10, effect }
    const { plan } = cases.find(({ name }) => name === 'egress') ?? { plan: chain }
    const { 'outbound.json': routes } = render(plan, 'teller', siteOf(plan, 'teller'), [fault])
    expect(JSON.stringify(routes)).toContain('"abort":{"http_status":503,"percentage":{"numerator":100000')
  })

  test('a site that lacks a callee is refused with its name', () => {
    const site = { ...siteOf(chain, 'orders'), services: {} }
    expect(() => render(chain, 'orders', site)).toThrow('the site has no address of inventory, which orders calls')
  })
})

function rulesOf(filter: unknown): { policies: Record<string, unknown> } {
  return (filter as { typed_config: { rules: { policies: Record<string, unknown> } } }).typed_config.rules
}

type Static = { readonly static_resources: { readonly listeners: readonly { readonly name: string }[] } }

function listenerNames(files: Readonly<Record<string, unknown>>): string[] {
  const { listeners } = (files['bootstrap.json'] as Static).static_resources
  return listeners.map(({ name }) => name)
}
