import { afterAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Component } from '#cdk8s/component.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type FakeApiServer, type Fault, startFakeApiServer } from './api-server-fixture.ts'
import { openConnection } from './connection.ts'
import { type DeployEvent, type DeployRequest, deploy } from './deploy.ts'

/** Everything that a real API server may do to whoever applies: refuse, be busy, vanish in the middle, know too little. */
let server: FakeApiServer
beforeEach(async () => {
  await server?.close()
  server = await startFakeApiServer('127.85.1.1')
  server.status = ({ kind }) => (kind === 'Namespace' ? { phase: 'Active' } : running)
})
afterAll(async () => server.close())

const running = {
  conditions: [{ type: 'Ready', status: 'True' }],
  ...{ observedGeneration: 99, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
}
const labels = { 'app.kubernetes.io/managed-by': 'parley', 'app.kubernetes.io/part-of': 'try' }

function object(kind: string, name: string, more: object = {}): Manifest {
  const apiVersion = { Deployment: 'apps/v1', KafkaTopic: 'kafka.strimzi.io/v1', Thing: 'none.io/v1' }[kind] ?? 'v1'
  const namespace = kind === 'Namespace' ? {} : { namespace: 'try' }
  return { apiVersion, kind, metadata: { name, labels, ...namespace }, ...more }
}

function system(...configs: readonly string[]): readonly Component[] {
  const maps = configs.map((name) => object('ConfigMap', name, { data: { a: '1' } }))
  return [
    { wave: 'policies', name: 'system', objects: [...maps, object('Namespace', 'try')] },
    { wave: 'data', name: 'system', objects: [object('KafkaTopic', 'orders', { spec: {} })] },
    { wave: 'workloads', name: 'orders', objects: [object('Deployment', 'orders', { spec: { replicas: 1 } })] },
  ]
}

const fast = { pollMs: 5, quietMs: 20, stuckMs: 60 }
let events: DeployEvent[]
function run(components: readonly Component[], wish: Partial<DeployRequest> = {}) {
  events = []
  const connection = openConnection('fake', { timeoutMs: 500, attempts: 4, backoffMs: 5 })
  const report = (event: DeployEvent): void => void events.push(event)
  return deploy(connection, { system: 'try', components, dryRun: false, prune: false, wait: fast, report, ...wish })
}

/** A fault for the first requests to a path that ends so. */
function faulty(end: string, fault: Fault, times = Number.POSITIVE_INFINITY): void {
  let left = times
  server.fault = (method, path) => {
    if (method !== 'PATCH' || !path.endsWith(end) || left <= 0) return undefined
    left -= 1
    return fault
  }
}

const applied = (): string[] =>
  server.requests.filter((one) => one.startsWith('PATCH')).map((one) => one.split('/').at(-1) ?? '')

describe('waves', () => {
  test('go in order, namespaces first; again, nothing changes', async () => {
    expect(await run(system('a', 'b'))).toEqual({ created: 5, changed: 0, unchanged: 0, removed: 0 })
    const order = applied()
    expect(order[0]).toBe('try')
    expect(order.slice(-2)).toEqual(['orders', 'orders'])
    expect(await run(system('a', 'b'))).toEqual({ created: 0, changed: 0, unchanged: 5, removed: 0 })
  })

  test('wait for each other: nothing of the next is applied before the one before is ready', async () => {
    server.status = ({ kind }) => (kind === 'Namespace' ? { phase: 'Active' } : undefined)
    await expect(run(system('a'))).rejects.toMatchObject({
      code: 'STUCK',
      message: expect.stringMatching(/KafkaTopic try\/orders: is not Ready yet\n.*run it again/s),
    })
    expect(applied()).toEqual(['try', 'a', 'orders'])
    server.status = ({ kind }) => (kind === 'Namespace' ? { phase: 'Active' } : running)
    expect(await run(system('a'))).toMatchObject({ created: 1, unchanged: 3 })
  })

  test('apply a few objects at once, never all', async () => {
    await run(system(...Array.from({ length: 60 }, (_, index) => `c${index}`)), { wait: null })
    expect(server.inFlightMax()).toBeGreaterThan(4)
    expect(server.inFlightMax()).toBeLessThanOrEqual(16)
  })
})

describe('a server that is busy or gone for a moment', () => {
  test.each<[string, Fault]>([
    ['429, with the time it asks for', { status: 429, message: 'slow down', retryAfter: 0.01 }],
    ['503', { status: 503, message: 'starting' }],
    ['a webhook that does not answer yet', { status: 500, message: 'failed calling webhook', reason: 'InternalError' }],
    ['a conflict', { status: 409, message: 'the object has been modified' }],
    ['a connection cut before', 'cut before'],
    ['a connection cut after it was done', 'cut after'],
  ])('%s: asked again until it is done', async (_, fault) => {
    faulty('/configmaps/a', fault, 2)
    const result = await run(system('a'))
    expect(result.created + result.changed).toBe(4)
    expect(applied().filter((name) => name === 'a')).toHaveLength(3)
  })
})

describe('what cannot be applied', () => {
  test('is counted beside what was, and stops before the next wave; again, it continues', async () => {
    faulty('/configmaps/b', { status: 422, message: 'ConfigMap "b" is invalid: data: field is immutable' })
    await expect(run(system('a', 'b', 'c'))).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(
        /An object of the wave policies could not be applied:\n {2}ConfigMap try\/b is refused: .*immutable.*delete it, then apply again\.\n3 of 6 objects are applied, 3 are not/,
      ),
    })
    expect(applied()).not.toContain('orders')
    server.fault = () => undefined
    expect(await run(system('a', 'b', 'c'))).toEqual({ created: 3, changed: 0, unchanged: 3, removed: 0 })
  })

  test('for want of a right: the verb, the resource, who, and how to see it', async () => {
    const message =
      'configmaps "a" is forbidden: User "eve" cannot patch resource "configmaps" in API group "" in the namespace "try"'
    faulty('/configmaps/a', { status: 403, message })
    await expect(run(system('a'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(
        /may not patch configmaps in the namespace try on fake as eve\.\n.*can-i patch configmaps -n try/,
      ),
    })
  })

  test('for a field of another type: said at once, not tried again', async () => {
    faulty('/configmaps/a', { status: 500, message: 'failed to create typed patch object' })
    await expect(run(system('a'))).rejects.toMatchObject({ code: 'INVALID' })
    expect(applied().filter((name) => name === 'a')).toHaveLength(1)
  })

  test('because the server is gone: what was applied and what was not', async () => {
    faulty('/kafkatopics/orders', 'cut before')
    await expect(run(system('a'))).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('2 of 4 objects are applied, 2 are not'),
    })
  })

  test('because its operator is missing: found before anything is applied', async () => {
    const components: readonly Component[] = [
      ...system('a'),
      { wave: 'observability', name: 'x', objects: [object('Thing', 't')] },
    ]
    await expect(run(components)).rejects.toMatchObject({
      code: 'OPERATOR_MISSING',
      message: expect.stringMatching(/Thing of none\.io\/v1\nNothing was applied/),
    })
    expect(applied()).toEqual([])
  })
})

describe('what is no longer declared', () => {
  const gone = () => system('a').filter(({ wave }) => wave !== 'data')

  test('is named, and removed only when asked; what holds data stays', async () => {
    await run(system('a', 'b'))
    await run(gone())
    expect(server.objects.has('/api/v1/namespaces/try/configmaps/b')).toBe(true)
    expect(events).toContainEqual({ kind: 'note', text: 'No longer declared; --prune removes: ConfigMap try/b' })
    expect(await run(gone(), { prune: true })).toMatchObject({ removed: 1 })
    expect(server.objects.has('/api/v1/namespaces/try/configmaps/b')).toBe(false)
    expect([...server.objects.keys()].some((path) => path.endsWith('/kafkatopics/orders'))).toBe(true)
    expect(events).toContainEqual({
      kind: 'note',
      text: 'No longer declared, but left because it holds data: KafkaTopic try/orders',
    })
  })

  test('is never what others made, whatever its labels say', async () => {
    await run(system('a'))
    const metadata = {
      name: 'copied',
      namespace: 'try',
      labels,
      managedFields: [{ manager: 'kube-controller-manager' }],
    }
    server.objects.set('/api/v1/namespaces/try/pods/copied', { metadata })
    expect(await run(system('a'), { prune: true })).toMatchObject({ removed: 0 })
  })
})

test('a dry run writes nothing, and checks also what stands in a namespace that is not there yet', async () => {
  expect(await run(system('a'), { dryRun: true })).toMatchObject({ created: 4 })
  expect([...server.objects]).toEqual([])
  await run(system('a'))
  server.requests.length = 0
  expect(await run(system('a', 'b'), { dryRun: true })).toEqual({ created: 1, changed: 0, unchanged: 4, removed: 0 })
})

test('a standstill is explained by the newest warning and the last lines of what crashes', async () => {
  server.status = ({ kind, metadata }) => {
    if (kind === 'Namespace') return { phase: 'Active' }
    if (metadata.name === 'orders-1') {
      const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 10s' }
      return { containerStatuses: [{ name: 'app', ready: false, restartCount: 3, state: { waiting } }] }
    }
    return kind === 'Deployment' ? { ...running, availableReplicas: 0 } : running
  }
  server.objects.set('/api/v1/namespaces/try/pods/orders-1', {
    metadata: { name: 'orders-1', namespace: 'try', labels: { app: 'orders' } },
  })
  server.objects.set('/api/v1/namespaces/try/events/e', {
    ...{ reason: 'BackOff', message: 'Back-off restarting failed container', lastTimestamp: '2026-01-01T00:00:00Z' },
    involvedObject: { kind: 'Pod', name: 'orders-1' },
    metadata: { name: 'e', namespace: 'try' },
  })
  const [first, ...others] = system('a')
  const deployment = object('Deployment', 'orders', {
    spec: { replicas: 1, selector: { matchLabels: { app: 'orders' } } },
  })
  const components: readonly Component[] = [
    first as Component,
    ...others.slice(0, 1),
    { wave: 'workloads', name: 'orders', objects: [deployment] },
  ]
  await expect(run(components)).rejects.toMatchObject({
    code: 'STUCK',
    message: expect.stringMatching(
      /Deployment try\/orders: 0 of 1 pods are ready\n\s+pod orders-1: container app: CrashLoopBackOff, back-off 10s\n\s+pod orders-1: BackOff: Back-off restarting/,
    ),
  })
})

test('an interruption ends it at once, and the next run continues', async () => {
  const interrupt = new AbortController()
  server.status = ({ kind }) => (kind === 'Namespace' ? { phase: 'Active' } : undefined)
  const wait = { ...fast, stuckMs: 60_000, signal: interrupt.signal }
  const report = ({ kind }: DeployEvent): void => void (kind === 'waiting' && setTimeout(() => interrupt.abort(), 20))
  await expect(run(system('a'), { wait, report })).rejects.toMatchObject({ code: 'INTERRUPTED' })
  server.status = ({ kind }) => (kind === 'Namespace' ? { phase: 'Active' } : running)
  expect(await run(system('a'))).toMatchObject({ created: 1, unchanged: 3 })
})

test('an unknown context names those that there are', () => {
  expect(() => openConnection('nowhere')).toThrow('There is no context nowhere. There are: fake, kind-parley.')
})
