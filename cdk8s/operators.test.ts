import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import type { SystemNode } from '#graph/system.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { type Mesh, meshes, tracing } from '#providers/cluster.ts'
import { everything } from '#test/fixtures/everything.ts'
import { sharedObjects } from '#test/fixtures/shared.ts'
import { needs, needsOf, operatorsFor, parseOperators } from './operators.ts'
import { render } from './render.ts'
import { parseSettings } from './settings.ts'

const files = textsOf('charts/operators')
const environments = ['kind', 'production'] as const
const cases = environments.flatMap((environment) => meshes.map((mesh) => ({ environment, mesh })))

describe('the list', () => {
  test.each(cases)('serves every kind that is rendered for $environment and $mesh', ({ environment, mesh }) => {
    const settings = settingsOf(environment)
    const plan = derive(shop, environment)
    const { operators } = operatorsFor(parseOperators(files, environment), mesh, needsOf(plan, settings))
    const served = new Set(operators.flatMap(({ crds }) => crds))
    const groups = render(plan, mesh, settings).flatMap(({ objects }) =>
      objects.map(({ apiVersion }) => groupOf(apiVersion)),
    )
    const builtIn = /^$|^(apps|batch|autoscaling|policy)$|\.k8s\.io$/
    expect([...new Set(groups)].filter((group) => !served.has(group) && !builtIn.test(group))).toEqual([])
    if (groups.includes('gateway.networking.k8s.io')) expect(served).toContain('gateway.networking.k8s.io')
  })

  test('a wave never needs a later one: who brings certificates comes before who asks for them', () => {
    const waveOf = new Map(parseOperators(files, 'kind').operators.map(({ name, wave }) => [name, wave]))
    const earlier = (one: string, other: string) => expect(waveOf.get(one)).toBeLessThan(waveOf.get(other) ?? -1)
    earlier('gateway-api', 'istiod')
    earlier('gateway-api', 'envoy-gateway')
    earlier('cert-manager', 'opentelemetry-operator')
    earlier('cert-manager', 'kube-prometheus-stack')
    earlier('cert-manager', 'rabbitmq-cluster-operator')
    earlier('rabbitmq-cluster-operator', 'rabbitmq-topology-operator')
    earlier('opentelemetry-operator', 'jaeger')
    earlier('kube-prometheus-stack', 'jaeger')
    earlier('istio-base', 'istiod')
    earlier('trust-manager', 'linkerd-identity')
    earlier('linkerd-crds', 'linkerd-control-plane')
    earlier('linkerd-identity', 'linkerd-control-plane')
    earlier('envoy-gateway', 'envoy-gateway-class')
    earlier('linkerd-cni', 'linkerd-control-plane')
  })

  test.each([
    ['istio', ['istio-base', 'istio-cni', 'istiod']],
    [
      'linkerd',
      [
        'envoy-gateway',
        'envoy-gateway-class',
        'envoy-gateway-crds',
        'linkerd-cni',
        'linkerd-control-plane',
        'linkerd-crds',
        'linkerd-identity',
        'trust-manager',
      ],
    ],
    ['none', ['envoy-gateway', 'envoy-gateway-class', 'envoy-gateway-crds']],
  ] satisfies [Mesh, string[]][])('%s has what is its own, and nothing of another', (mesh, own) => {
    const names = operatorsFor(parseOperators(files, 'kind'), mesh, needs).operators.map(({ name }) => name)
    const common = names.filter((name) => !own.includes(name))
    expect(names.length).toBe(own.length + common.length)
    expect(common).toEqual([
      ...['gateway-api', 'cert-manager', 'cloudnative-pg', 'keda', 'kube-prometheus-stack', 'opentelemetry-operator'],
      ...['rabbitmq-cluster-operator', 'strimzi', 'jaeger', 'rabbitmq-topology-operator'],
    ])
  })

  test.each(cases)(
    'what belongs to the whole cluster is theirs, on $environment and $mesh',
    ({ environment, mesh }) => {
      const objects = render(derive(shop, environment), mesh, settingsOf(environment)).flatMap((one) => one.objects)
      const shared = objects.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace === undefined)
      expect(shared.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([])
      const classes = objects.flatMap(({ kind, spec }) =>
        kind === 'Gateway' ? [(spec as { gatewayClassName: string }).gatewayClassName] : [],
      )
      // Istio makes its own.
      const made = readFileSync('charts/operators/manifests/envoy-gateway-class/gateway-class.yaml', 'utf8')
      expect(classes.filter((name) => name !== 'istio' && !made.includes(`name: ${name}\n`))).toEqual([])
    },
  )

  test('a system without topics, stores and queues does without their operators and namespaces', () => {
    const { operators, namespaces } = operatorsFor(parseOperators(files, 'kind'), 'none', [])
    const names = operators.map(({ name }) => name)
    for (const name of ['strimzi', 'cloudnative-pg', 'rabbitmq-cluster-operator', 'keda'])
      expect(names).not.toContain(name)
    expect(namespaces.map(({ name }) => name)).not.toContain('strimzi')
  })

  test('every version is pinned, in manifests too', () => {
    for (const { source, app } of parseOperators(files, 'production').operators) {
      if (source.kind === 'chart') expect(source.version).toMatch(/^v?\d+\.\d+\.\d+$/)
      else {
        const text = readFileSync(join(source.path, 'kustomization.yaml'), 'utf8')
        for (const [url] of text.matchAll(/https:\S+/g)) expect(url).toContain(app.replace(/^v?/, '/v'))
      }
    }
  })
})

test('the values of an environment lie over those of both', () => {
  const [istiod] = parseOperators(files, 'kind').operators.filter(({ name }) => name === 'istiod')
  expect(istiod?.source).toMatchObject({
    values: { cni: { enabled: true }, global: { proxy: { seccompProfile: {}, resources: { limits: { cpu: null } } } } },
  })
})

test('manifests that differ by environment are those of the one that is asked for, and of the version that is named', () => {
  for (const environment of environments) {
    const [jaeger] = parseOperators(files, environment).operators.filter(({ name }) => name === 'jaeger')
    expect(jaeger?.source).toEqual({ kind: 'manifests', path: `charts/operators/manifests/jaeger/${environment}` })
    const [collector] = sharedObjects(environment).filter(({ kind }) => kind === 'OpenTelemetryCollector')
    expect(collector?.spec).toMatchObject({ image: `jaegertracing/jaeger:${jaeger?.app}` })
  }
})

test('spans go where the proxies and services send them, and nothing of a system is shared with another', () => {
  const [collector] = sharedObjects('production').filter(({ kind }) => kind === 'OpenTelemetryCollector')
  expect(`${collector?.metadata.name}-collector.${collector?.metadata.namespace}`).toBe(tracing.host.split('.svc')[0])
  expect(collector?.spec).toMatchObject({
    config: { receivers: { otlp: { protocols: { grpc: { endpoint: `0.0.0.0:${tracing.grpcPort}` } } } } },
  })
  for (const { environment, mesh } of cases) {
    const own = (system: SystemNode) =>
      render(derive(system, environment), mesh, { ...settingsOf(environment), hosts: {}, replicas: {} }).flatMap(
        ({ objects }) => objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`),
      )
    const others = new Set(own(everything))
    expect(own(shop).filter((name) => others.has(name))).toEqual([])
  }
})

const least = {
  'operators.yaml':
    'namespaces: { a: { podSecurity: restricted } }\noperators: [{ name: a, manifests: true, app: "1", namespace: a, wave: 0 }]',
}

describe('what no list says', () => {
  test.each([
    [{}, 'operators.yaml is missing'],
    [{ 'operators.yaml': 'a: [' }, 'no YAML'],
    [changed('wave: 0', 'wave: first'), 'operators[a].wave: is "first"; allowed: a whole number'],
    [changed('wave: 0', 'wave: 0, colour: red'), 'operators[a].colour: is not known; allowed here: name, chart'],
    [changed('manifests: true', 'manifests: false'), 'either `chart` or `manifests: true`'],
    [
      changed('manifests: true', 'environments: true, chart: { repository: "oci://a", name: a, version: "1" }'),
      'environments: a chart',
    ],
    [changed('wave: 0', 'wave: 0, meshes: [consul]'), 'a].meshes[0]: is "consul"; allowed: istio, linkerd, none'],
    [changed('namespace: a', 'namespace: b'), 'operators[a].namespace: is b'],
    [changed('restricted', 'none'), 'restricted, baseline, privileged'],
    [changed('wave: 0', 'wave: 0, ready: [Pod/a]'), 'Deployment/<name>'],
    [{ ...least, 'values/b.yaml': 'a: 1' }, 'values/b.yaml: no chart'],
  ])('%#', (broken, message) => {
    expect(() => parseOperators(broken, 'kind')).toThrow(message)
  })

  test('every problem is named at once', () => {
    const broken = changed('wave: 0', 'wave: first, crds: [1], for: [consul]')['operators.yaml']
    expect(() =>
      parseOperators({ 'operators.yaml': broken.replace('restricted', 'none') }, 'kind'),
    ).toThrow(`charts/operators/operators.yaml cannot be used:
  namespaces.a.podSecurity: is "none"; allowed: restricted, baseline, privileged
  operators[a].wave: is "first"; allowed: a whole number
  operators[a].crds[0]: is 1; allowed: an API group
  operators[a].for[0]: is "consul"; allowed: kafka, postgres, rabbitmq, lag`)
  })

  function changed(from: string, to: string) {
    return { 'operators.yaml': least['operators.yaml'].replace(from, to) }
  }
})

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
}

function settingsOf(environment: string) {
  const file = `charts/settings/${environment}.yaml`
  return parseSettings(readFileSync(file, 'utf8'), file)
}

function textsOf(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'))
  const wanted = names.filter((name) => !name.startsWith('manifests/'))
  return Object.fromEntries(wanted.map((name) => [name, readFileSync(join(dir, name), 'utf8')]))
}
