import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { command, image } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { type ServiceSlice, slicesOf } from '#plan/slices.ts'
import { type Mesh, type Settings, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { expectGolden, yamlFiles } from '#test/golden.ts'
import { metricSources } from '../observability/metrics.ts'
import { account } from '../policies/accounts.ts'
import { serviceNetwork } from '../policies/network.ts'
import { replicasMax } from './scaling.ts'
import { renderedOf, settings } from './testdata/cases.ts'
import { type Pod, podsIn } from './testdata/hardening.ts'
import { workload } from './workload.ts'

const production = derive(shop, 'production')

function sliceOf(name: string): ServiceSlice {
  const slice = slicesOf(production).get(name)
  if (!slice) throw new Error(`the shop has no ${name}`)
  return slice
}

function rendered(name: string, mesh: Mesh, more: Partial<Settings> = {}): readonly Manifest[] {
  const site = siteOf(production, mesh, { ...settings, ...more })
  return [account, serviceNetwork, workload].flatMap((part) => part.render(site, sliceOf(name)))
}

test('one service as it reaches a cluster', () => {
  const files = {
    'istio-keda': rendered('notifications', 'istio', { keda: true }),
    linkerd: rendered('notifications', 'linkerd'),
  }
  expectGolden(join(import.meta.dirname, 'testdata/notifications'), yamlFiles(files))
})

test('on Linkerd a Service carries the breaker of its callers, a stand-in too; on others none does', () => {
  const annotated = (mesh: Mesh) =>
    renderedOf(derive(shop, 'kind'), mesh)
      .objects.filter(({ kind, metadata }) => kind === 'Service' && metadata.annotations !== undefined)
      .map(({ metadata: { name, annotations } }) => [
        name,
        annotations?.['balancer.linkerd.io/failure-accrual-consecutive-max-failures'],
      ])
  const carried = annotated('linkerd')
  expect(carried).toEqual(expect.arrayContaining(['bank', 'inventory', 'orders'].map((name) => [name, '5'])))
  expect(carried.map(([name]) => name)).not.toContain('gateway')
  expect([...annotated('istio'), ...annotated('none')]).toEqual([])
})

test("Istio's sidecars keep the statistics that rules and dashboards read, and those alone", () => {
  const deployments = rendered('gateway', 'istio').filter(({ kind }) => kind === 'Deployment')
  const [template] = deployments.map(({ spec }) => (spec as { template: Pick<Manifest, 'metadata'> }).template)
  const config = JSON.parse(template?.metadata.annotations?.['proxy.istio.io/config'] ?? '{}')
  const kept = new RegExp(`^(?:${config.proxyStatsMatcher.inclusionRegexps.join('|')})$`)
  const cluster = 'outbound|8080||orders.shop.svc.cluster.local;'
  for (const metric of metricSources.istio)
    expect(metric.replace('envoy_cluster_outlier_detection_', `cluster.${cluster}.outlier_detection.`)).toMatch(kept)
  expect(`cluster.${cluster}.upstream_rq_total`).not.toMatch(kept)
})

describe('the number of replicas', () => {
  const site = siteOf(production, 'none', settings)

  test('is at least what the owners of the cluster say, and at most four times that', () => {
    const chosen = siteOf(production, 'none', { ...settings, replicas: { gateway: 3 } })
    const scaler = workload.render(chosen, sliceOf('gateway')).find(({ kind }) => kind === 'HorizontalPodAutoscaler')
    expect(scaler?.spec).toMatchObject({ minReplicas: 3, maxReplicas: 12 })
  })

  test('of a mere consumer is not more than its largest topic has partitions', () => {
    expect(replicasMax(site, { ...sliceOf('payments'), works: [] })).toBe(6)
    // Its interface, or its queue, gives further replicas work.
    expect(replicasMax(site, sliceOf('orders'))).toBe(8)
    expect(replicasMax(site, sliceOf('notifications'))).toBe(8)
  })
})

describe('how a program starts', () => {
  const words = rest('words-api', { greeting: 'GET /greetings/{language}' })
  const polyglot = (start: ReturnType<typeof image> | ReturnType<typeof command>) =>
    derive(
      system('hello', {
        services: [service('words', { exposes: [words], start })],
        exposures: [exposure('hello', service('words', { exposes: [words] }), words)],
      }),
      'kind',
    )

  test('an image of somebody else runs as it is, and is ready when it accepts connections', () => {
    const [pod] = podsIn(renderedOf(polyglot(image('registry.example/words:2', 'serve', '--all')), 'istio').objects)
    const container = (pod as Pod).spec.containers[0] as Pod['spec']['containers'][number] & { command: string[] }
    expect(container).toMatchObject({ image: 'registry.example/words:2', command: ['serve', '--all'] })
    expect(container.readinessProbe).toMatchObject({ tcpSocket: { port: 8080 } })
    expect(container.env.find(({ name }) => name === 'PARLEY_VERSION')?.value).toBe('2')
    expect(container.env.map(({ name }) => name)).not.toContain('NODE_OPTIONS')
  })

  test('a command needs an image, and is told so', () => {
    expect(() => renderedOf(polyglot(command('python3', 'words.py')), 'none')).toThrow(
      "The service words starts with the command \"python3 words.py\", which a cluster cannot run without an image. Build an image that holds it, and declare start: image('registry/name:tag', 'python3', 'words.py').",
    )
  })
})
