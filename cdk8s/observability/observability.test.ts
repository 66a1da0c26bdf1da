/** What rules and dashboards name is exported by somebody, and each alert leads to a page that says what to do. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { metric } from '#kit/telemetry/semantics.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { slicesOf } from '#plan/slices.ts'
import { edgeOf, meshes, siteOf } from '#providers/cluster.ts'
import { parseSettings } from '../settings.ts'
import { dashboards, dashboardsOf } from './dashboards.ts'
import { metricSources } from './metrics.ts'
import { monitors } from './monitors.ts'
import type { AlertRule, RecordRule } from './rule.ts'
import { alertRules } from './rules.ts'
import { systemRules } from './sagas.ts'

const settings = parseSettings(
  'image: { repository: parley/services, tag: dev }\ngit: { url: "https://git.example/x.git", revision: main }\n',
  'test.yaml',
)
const plan = derive(shop, 'production')

describe.each(meshes)('with mesh %s', (mesh) => {
  const site = siteOf(plan, mesh, settings)
  const rules = [
    ...[...slicesOf(plan).values()].flatMap((slice) => alertRules.render(site, slice)),
    ...systemRules.render(site, plan),
  ].flatMap(({ spec }) =>
    (spec as { groups: { rules: (AlertRule | RecordRule)[] }[] }).groups.flatMap((one) => one.rules),
  )
  const panels = dashboardsOf(site, plan).flatMap(({ rows }) => rows.flatMap((row) => row.panels))

  test('every metric that a rule or a panel names is exported by what runs there', () => {
    const { istio, linkerd, ...everywhere } = metricSources
    const proxies = mesh === 'istio' ? istio : mesh === 'linkerd' ? linkerd : []
    const known = new Set<string>([...Object.values(everywhere).flat(), ...proxies])
    const expressions = [
      ...rules.map(({ expr }) => expr),
      ...panels.flatMap(({ queries }) => queries.map((q) => q.expr)),
    ]
    const named = expressions.flatMap((expr) =>
      [...expr.matchAll(/([a-zA-Z_][a-zA-Z0-9_:]*)\{/g)].map(([, name = '']) => name),
    )
    expect(named.length).toBeGreaterThan(100)
    expect([...new Set(named.map(family))].filter((name) => !known.has(name))).toEqual([])
  })

  test('every alert of the plan has its rule, but breakers where there are none', () => {
    const externals = new Set(plan.externals.map(({ name }) => name))
    const breaks = (to: string) => mesh === 'istio' || (mesh === 'linkerd' && !externals.has(to))
    const expected = plan.alerts.filter((alert) => alert.kind !== 'breaker-open' || breaks(alert.to))
    expect(plan.alerts.filter((alert) => alert.kind === 'breaker-open' && externals.has(alert.to))).toHaveLength(2)
    expect(rules.filter((rule) => 'alert' in rule)).toHaveLength(expected.length)
  })

  test('the proxies at the edge are read where they run', () => {
    const monitor = monitors.render(site, plan).find(({ metadata }) => metadata.name === 'shop-edge')
    const { podLabels, namespace } = edgeOf(site)
    expect(monitor?.metadata.namespace).toBe('shop')
    expect(monitor?.spec).toEqual({
      selector: { matchLabels: podLabels },
      podMetricsEndpoints: [{ port: 'metrics', path: '/stats/prometheus', interval: '15s' }],
      ...(mesh === 'istio' ? {} : { namespaceSelector: { matchNames: [namespace] } }),
    })
  })

  test('every share of errors that an alert asks for is recorded', () => {
    const recorded = new Set(rules.flatMap((rule) => ('record' in rule ? [rule.record] : [])))
    const asked = rules.flatMap(({ expr }) => expr.match(/parley:\w+:ratio_rate\w+/g) ?? [])
    expect([...new Set(asked)].filter((name) => !recorded.has(name))).toEqual([])
  })
})

test('the names of our own metrics are those that the kit writes', () => {
  const written = new Set(Object.values(metric).map((name) => name.replaceAll('.', '_')))
  const base = (name: string) => name.replace(/_(seconds|total)$/, '')
  expect(metricSources.kit.filter((name) => !written.has(base(name)))).toEqual([])
})

test('every alert leads to a heading of the runbook, and no heading is without its alert', () => {
  const text = readFileSync('docs/runbook.md', 'utf8')
  const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, title = '']) =>
    title.toLowerCase().replaceAll(' ', '-').replaceAll("'", ''),
  )
  const site = siteOf(plan, 'istio', settings)
  const pages = [
    ...[...slicesOf(plan).values()].flatMap((slice) => alertRules.render(site, slice)),
    ...systemRules.render(site, plan),
  ]
    .flatMap(({ spec }) => JSON.stringify(spec).match(/docs\/runbook\.md#[a-z-]+/g) ?? [])
    .map((link) => link.split('#')[1])
  expect([...new Set(pages)].sort()).toEqual(headings.sort())
})

test('dashboards are whole, and found by Grafana', () => {
  const objects = dashboards.render(siteOf(plan, 'istio', settings), plan)
  expect(objects.map(({ metadata }) => metadata.name)).toEqual([
    'shop-services.dashboard',
    'shop-messaging.dashboard',
    'shop-saga-checkout.dashboard',
    'shop-saga-fulfil.dashboard',
  ])
  for (const { metadata, data } of objects) {
    expect(metadata.labels?.grafana_dashboard).toBe('1')
    const [json = ''] = Object.values(data as Record<string, string>)
    const { panels } = JSON.parse(json) as { panels: { id: number; targets?: { expr: string }[] }[] }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { targets = [{ expr: 'row' }] } of panels) expect(targets.every(({ expr }) => expr !== '')).toBe(true)
  }
})

test('a system without messages, databases and sagas has monitors and one dashboard', () => {
  const bare = { ...plan, topics: [], subscriptions: [], queues: [], stores: [], sagas: [] }
  const site = siteOf(bare, 'none', settings)
  expect(monitors.render(site, bare).map(({ metadata }) => metadata.name)).toEqual(['shop-services', 'shop-edge'])
  expect(dashboardsOf(site, bare)).toHaveLength(1)
})

/** The metric of a series: buckets and counts belong to their histogram, windows to their ratio. */
function family(name: string): string {
  if (name.startsWith('parley:')) return name.replace(/ratio_rate\w+$/, 'ratio_rate')
  return name.replace(/_(bucket|count)$/, '')
}
