/**
 * Which connections are open, by an evaluator of the rendered NetworkPolicies: for every two ends and every port. They
 * must be those of the declared edges, and the named few without which nothing would run.
 */
import { describe, expect, test } from '@jest/globals'
import type { Plan } from '#plan/plan.ts'
import type { Mesh } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type End, networkAllows } from '../evaluators/network.ts'
import { without } from '../evaluators/objects.ts'
import { type RenderedCase, renderedCases } from '../fixtures/rendered.ts'
import { type World, worldOf } from '../fixtures/world.ts'

/** `from`, `to`, and the ports at `to`. */
type Opening = readonly [from: string, to: string, ...ports: readonly number[]]

const cases = renderedCases()
/** Ends that no policy of the system's protects: they are others'. */
const unguarded = [
  ...['internet', 'node', 'stranger', 'impostor', 'dns', 'istiod', 'linkerd', 'linkerd identity', 'prometheus'],
  ...['strimzi', 'cnpg', 'rabbitmq operator'],
]

describe('connections', () => {
  test.each(cases)('$title', (rendered) => {
    expect(opened(rendered, rendered.objects)).toEqual(declared(rendered))
  })

  test('a policy more or less is noticed, whichever it is', () => {
    for (const rendered of cases.filter(({ environment, plan }) => environment === 'kind' && plan.system === 'shop')) {
      const whole = opened(rendered, rendered.objects)
      const unnoticed = rendered.objects
        .filter(
          ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.namespace?.startsWith(rendered.plan.namespace),
        )
        .filter(
          (policy) => JSON.stringify(opened(rendered, without(rendered.objects, policy))) === JSON.stringify(whole),
        )
      expect(unnoticed.map(({ metadata }) => metadata.name)).toEqual([])
    }
  })
})

function opened(rendered: RenderedCase, objects: readonly Manifest[]): readonly string[] {
  const world = worldOf(rendered)
  const own = ownEnds(rendered, world)
  const ports = interestingPorts(rendered.plan)
  const pairs = [...world].flatMap(([from, source]) =>
    [...world]
      .filter(([to]) => from !== to && (own.has(from) || own.has(to)))
      .map(([to, target]) => ({ from, to, source, target })),
  )
  return sorted(
    pairs.flatMap(({ from, to, source, target }) =>
      openPorts(objects, source, target, ports).map((port) => `${from} → ${to}:${port}`),
    ),
  )
}

function openPorts(
  objects: readonly Manifest[],
  source: End,
  target: End,
  ports: readonly number[],
): readonly number[] {
  return ports.filter((port) => networkAllows(objects, source, target, port))
}

/** What the system itself is made of: everything that it runs, and its edge. */
function ownEnds({ plan, mesh }: RenderedCase, world: World): ReadonlySet<string> {
  const names = [
    ...plan.services.map(({ name }) => name),
    'kafka',
    'postgres',
    'rabbitmq',
    'stranger within',
    'stranger outside',
  ]
  const standIns = [...world.keys()].filter((name) => name.startsWith('outside/'))
  // Envoy Gateway's proxies stand in a namespace whose policies are not the system's.
  const edge = mesh === 'istio' && world.has('the edge') ? ['the edge'] : []
  return new Set([...names.filter((name) => world.has(name)), ...standIns, ...edge])
}

function interestingPorts({ externals }: Plan): readonly number[] {
  const fixed = [
    22, 53, 80, 443, 1883, 3306, 4143, 4191, 4317, 4318, 4369, 5432, 5671, 5672, 6443, 8000, 8025, 8080, 8086, 8090,
    8443, 9090, 9091, 9092, 9093, 9187, 9404, 9464, 10_080, 10_443, 15_001, 15_006, 15_008, 15_010, 15_012, 15_020,
    15_021, 15_090, 15_672, 15_692, 16_686, 25_672,
  ]
  return [...new Set([...fixed, ...externals.map(({ port }) => port)])]
}

function declared(rendered: RenderedCase): readonly string[] {
  const world = worldOf(rendered)
  const openings = [...edges(rendered, world), ...infrastructure(rendered, world), ...dataServices(rendered, world)]
  return sorted(
    openings
      .filter(([from, to]) => world.has(from) && world.has(to))
      .flatMap(([from, to, ...ports]) => ports.map((port) => `${from} → ${to}:${port}`)),
  )
}

/** What the declaration says. */
function edges({ plan, mesh }: RenderedCase, world: World): readonly Opening[] {
  // Between pods of Linkerd all travels on one port of the proxies.
  const app = mesh === 'linkerd' ? 4143 : 8080
  return [
    ...plan.links.map(({ from, to }): Opening => [from, to, app]),
    // Also of those that a mesh leaves closed: there it is the mesh that refuses.
    ...plan.exposures.map(({ service }): Opening => ['the edge', service, app]),
    ...plan.stores.map(({ owner }): Opening => [owner, 'postgres', 5432]),
    ...[...plan.grants.topics, ...plan.grants.groups].map(({ service }): Opening => [service, 'kafka', 9093]),
    ...plan.grants.queues.map(({ service }): Opening => [service, 'rabbitmq', 5671]),
    ...plan.egress.map((egress) => egressOf(plan, egress, world)),
    // Subscribers say at run time where their webhooks go: anywhere that is public, over HTTPS.
    ...plan.webhooks.map(({ service }): Opening => [service, 'internet', 443]),
  ]
}

function egressOf(plan: Plan, { from, external }: Plan['egress'][number], world: World): Opening {
  const found = plan.externals.find(({ name }) => name === external)
  const standIn = `outside/${external}`
  return world.has(standIn) ? [from, standIn, 8080] : [from, 'internet', found?.port ?? 0]
}

/** What nothing runs without: names, the mesh's control plane, traces, metrics, and people at the edge. */
function infrastructure({ plan, mesh }: RenderedCase, world: World): readonly Opening[] {
  const services = plan.services.map(({ name }) => name)
  const withEdge = mesh === 'istio' ? [...services, 'the edge'] : services
  const metrics = { istio: [15_020], linkerd: [4191, 9464], none: [9464] }[mesh]
  const control: readonly Opening[] = withEdge.flatMap((name): Opening[] => {
    if (mesh === 'istio') return [[name, 'istiod', 15_012]]
    return mesh === 'linkerd'
      ? [
          [name, 'linkerd', 8086, 8090],
          [name, 'linkerd identity', 8080],
        ]
      : []
  })
  return [
    ...withEdge.map((name): Opening => [name, 'dns', 53]),
    ...control,
    ...withEdge.map((name): Opening => [name, 'jaeger', 4317]),
    ...services.map((name): Opening => ['prometheus', name, ...metrics]),
    ...edgeOpenings(plan, mesh, world),
    ...pages(plan),
  ]
}

function edgeOpenings(plan: Plan, mesh: Mesh, world: World): readonly Opening[] {
  if (mesh !== 'istio') return []
  const services = plan.services.map(({ name }) => name)
  const everybody = [...world.keys()].filter((name) => name !== 'the edge' && canOpen(name, services))
  return [...everybody.map((name): Opening => [name, 'the edge', 80, 443, 15_021]), ['prometheus', 'the edge', 15_020]]
}

/** Whoever no policy of ours holds back at its own end. */
function canOpen(name: string, services: readonly string[]): boolean {
  const held = [
    'kafka',
    'kafka entity operator',
    'kafka exporter',
    'postgres',
    'rabbitmq',
    'stranger within',
    'stranger outside',
    'jaeger',
  ]
  return !services.includes(name) && !name.startsWith('outside/') && !held.includes(name)
}

function pages({ externals }: Plan): readonly Opening[] {
  return externals
    .filter(({ standIn }) => standIn?.webPort)
    .map(({ name, standIn }): Opening => ['the edge', `outside/${name}`, standIn?.webPort ?? 0])
}

/** Among brokers and databases, and with their operators. */
function dataServices({ mesh }: RenderedCase, world: World): readonly Opening[] {
  const isUnguarded = (name: string): boolean => (name === 'the edge' && mesh !== 'istio') || unguarded.includes(name)

  const all: readonly Opening[] = [
    ['kafka entity operator', 'kafka', 9091],
    ['kafka exporter', 'kafka', 9091],
    ['strimzi', 'kafka', 8443, 9090, 9091],
    ['cnpg', 'postgres', 5432, 8000],
    ['rabbitmq operator', 'rabbitmq', 15_672],
    ['prometheus', 'kafka', 9404],
    ['prometheus', 'postgres', 9187],
    ['prometheus', 'rabbitmq', 15_692],
    ...['kafka', 'postgres', 'rabbitmq'].map((name): Opening => [name, 'dns', 53]),
    // Brokers' and databases' own agents talk to the API server, whose address nobody knows before: to every end that
    // does not refuse it by itself.
    ...['kafka', 'postgres', 'rabbitmq'].flatMap((name) =>
      [...world.keys()].filter((to) => isUnguarded(to)).map((to): Opening => [name, to, 443, 6443]),
    ),
    ...(mesh === 'istio' ? ['kafka', 'kafka entity operator', 'postgres', 'rabbitmq'] : []).map(
      (name): Opening => [name, 'the edge', 443],
    ),
  ]
  return all.filter(([from, to]) => world.has(from) && world.has(to))
}

function sorted(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)].sort()
}
