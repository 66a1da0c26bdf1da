/**
 * Which connections are open, by an evaluator of the rendered NetworkPolicies: for every two ends and every port. They
 * must be those of the declared edges, and the named few without which nothing would run.
 */
import { describe, expect, test } from '@jest/globals'
import type { Plan } from '#plan/plan.ts'
import type { Mesh } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type End, openPorts, type Ports, type Protocol, policySelects, sideOpens } from '../evaluators/network.ts'
import type { Loose } from '../evaluators/objects.ts'
import { type RenderedCase, renderedCases } from '../fixtures/rendered.ts'
import { type World, worldOf } from '../fixtures/world.ts'

/** `from`, `to`, and the ports at `to`. */
type Opening = readonly [from: string, to: string, ...ports: readonly number[]]

const cases = renderedCases()
describe('connections', () => {
  test.each(cases)('$title', (rendered) => {
    expect(opened(rendered)).toEqual(declared(rendered))
  })

  test.each(cases)('$title: neither end allows more than its edges by itself', (rendered) => {
    const world = worldOf(rendered)
    expect(sides(rendered.objects, world, ownEnds(rendered, world))).toEqual(declaredSides(rendered))
  })
})

describe.each(cases.filter(({ environment, plan }) => environment === 'kind' && plan.system === 'shop'))(
  'noticed is, in $title,',
  (rendered) => {
    const { objects } = rendered
    const world = worldOf(rendered)
    const policies = objects.filter(({ kind }) => kind === 'NetworkPolicy') as readonly Loose[]
    /** The names of the policies of which some change is passed over. */
    const unnoticed = (changes: (policy: Loose) => readonly (Loose | null)[]): readonly string[] =>
      policies.flatMap((policy) => {
        const ends = new Set([...world].filter(([, end]) => policySelects(policy, end)).map(([name]) => name))
        const whole = JSON.stringify(sides(objects, world, ends))
        const rest = objects.filter((object) => object !== policy)
        return changes(policy)
          .map((changed) => sides(changed === null ? rest : [...rest, changed], world, ends))
          .filter((seen) => JSON.stringify(seen) === whole)
          .map(() => policy.metadata.name)
      })
    /** A policy with one rule changed, once for each rule. */
    const inEachRule = (direction: 'ingress' | 'egress', change: (rule: Loose) => Loose) => (policy: Loose) =>
      ((policy.spec[direction] ?? []) as readonly Loose[]).flatMap((rule, index) => {
        const changed = change(rule)
        if (changed === null) return []
        const rules = policy.spec[direction].with(index, changed)
        return [{ ...policy, spec: { ...policy.spec, [direction]: rules } }]
      })
    const both = (change: (rule: Loose) => Loose) => (policy: Loose) => [
      ...inEachRule('ingress', change)(policy),
      ...inEachRule('egress', change)(policy),
    ]

    test('a policy that is gone', () => {
      expect(policies.length).toBeGreaterThan(10)
      expect(unnoticed(() => [null])).toEqual([])
    })

    test('a port that nobody names, at either end of any edge', () => {
      expect(
        unnoticed(both((rule) => ({ ...rule, ports: [...rule.ports, { protocol: 'TCP', port: 9_999 }] }))),
      ).toEqual([])
    })

    test('an edge that is open at every port', () => {
      expect(unnoticed(both(({ ports: _, ...rule }) => rule))).toEqual([])
    })

    test('an edge to or from more than it names, at one of its ends', () => {
      const named = (peers: readonly Loose[]): boolean =>
        !peers.some(({ ipBlock }) => ipBlock?.cidr === '0.0.0.0/0' && !ipBlock.except)
      for (const [direction, field] of [
        ['egress', 'to'],
        ['ingress', 'from'],
      ] as const) {
        const wider = (peers: (before: readonly Loose[]) => readonly Loose[] | undefined) =>
          inEachRule(direction, (rule) =>
            rule[field] && named(rule[field]) ? { ...rule, [field]: peers(rule[field]) } : null,
          )
        // The whole namespace, and everybody.
        expect(unnoticed(wider((before) => [...before, {}]))).toEqual([])
        expect(unnoticed(wider(() => undefined))).toEqual([])
      }
    })
  },
)

function opened(rendered: RenderedCase): readonly string[] {
  const world = worldOf(rendered)
  const own = ownEnds(rendered, world)
  const pairs = [...world].flatMap(([from, source]) =>
    [...world].filter(([to]) => own.has(from) || own.has(to)).map(([to, target]) => ({ from, to, source, target })),
  )
  return sorted(
    pairs.flatMap(({ from, to, source, target }) =>
      protocols.flatMap((protocol) => lines(from, to, openPorts(rendered.objects, source, target, protocol), protocol)),
    ),
  )
}

/** What the given ends allow by themselves, going out and coming in. */
function sides(objects: readonly Manifest[], world: World, ends: ReadonlySet<string>): readonly string[] {
  const others = [...world]
  return sorted(
    others.flatMap(([name, end]) =>
      ends.has(name)
        ? others.flatMap(([other, target]) =>
            protocols.flatMap((protocol) => [
              ...lines(`out ${name}`, other, sideOpens(objects, 'Egress', end, target, protocol), protocol),
              ...lines(`in ${other}`, name, sideOpens(objects, 'Ingress', end, target, protocol), protocol),
            ]),
          )
        : [],
    ),
  )
}

const protocols = ['TCP', 'UDP'] as const

function lines(from: string, to: string, ports: Ports, protocol: Protocol): readonly string[] {
  const suffix = protocol === 'UDP' ? '/UDP' : ''
  return ports.map(([first, last]) => `${from} → ${to}:${first === last ? first : `${first}-${last}`}${suffix}`)
}

/** What the system itself is made of: everything that it runs, and its edge. */
function ownEnds({ plan, mesh }: RenderedCase, world: World): ReadonlySet<string> {
  const names = [
    ...plan.services.map(({ name }) => name),
    ...['kafka', 'kafka entity operator', 'kafka exporter', 'postgres', 'rabbitmq', 'jaeger'],
    ...['stranger within', 'stranger outside'],
  ]
  const standIns = [...world.keys()].filter((name) => name.startsWith('outside/'))
  // Envoy Gateway's proxies stand in a namespace whose policies are not the system's.
  const edge = mesh === 'istio' && world.has('the edge') ? ['the edge'] : []
  return new Set([...names.filter((name) => world.has(name)), ...standIns, ...edge])
}

/** What both ends allow: the edges, and what one end leaves open to everybody where the other does as well or is not ours. */
function declared(rendered: RenderedCase): readonly string[] {
  const world = worldOf(rendered)
  const own = ownEnds(rendered, world)
  const { out, into } = oneSided(rendered, world)
  const sent = new Set(written(out, world))
  return sorted([
    ...written(edgesOf(rendered, world), world),
    ...written(
      out.filter(([, to]) => !own.has(to)),
      world,
    ),
    ...written(
      into.filter(([from]) => !own.has(from)),
      world,
    ),
    ...written(into, world).filter((line) => sent.has(line)),
  ])
}

/** What each end that is the system's own allows, whatever the other does. */
function declaredSides(rendered: RenderedCase): readonly string[] {
  const world = worldOf(rendered)
  const own = ownEnds(rendered, world)
  const { out, into } = oneSided(rendered, world)
  const edges = edgesOf(rendered, world)
  const going = [...edges, ...out].filter(([from]) => own.has(from))
  const coming = [...edges, ...into].filter(([, to]) => own.has(to))
  return sorted([
    ...written(going, world).map((line) => `out ${line}`),
    ...written(coming, world).map((line) => `in ${line}`),
  ])
}

function edgesOf(rendered: RenderedCase, world: World): readonly Opening[] {
  return [...edges(rendered, world), ...infrastructure(rendered), ...dataServices]
}

/** What one end leaves open because nobody knows beforehand who the other is. */
function oneSided({ mesh, environment, plan }: RenderedCase, world: World): Record<'out' | 'into', readonly Opening[]> {
  const everybody = [...world.keys()]
  const inside = everybody.filter((name) => isIn(plan.namespace, world.get(name)))
  const watchers = everybody.filter((name) => isIn('observability', world.get(name)))
  return {
    // Agents of brokers and databases talk to the API server, which has an address and no pods.
    out: ['kafka', 'kafka entity operator', 'postgres'].flatMap((from) =>
      everybody.map((to): Opening => [from, to, 443, 6443]),
    ),
    into: [
      // Istio's gateway is where the world comes in.
      ...(mesh === 'istio' ? everybody : []).map((from): Opening => [from, 'the edge', 80, 443, 15_021]),
      ...inside.map((from): Opening => [from, 'jaeger', 4317, 4318]),
      // People look at traces by way of the node, or of Grafana alone.
      ...(environment === 'kind' ? everybody : watchers).map((from): Opening => [from, 'jaeger', 16_686]),
    ],
  }
}

function isIn(namespace: string, end: End | undefined): boolean {
  return end?.kind === 'pod' && end.namespace === namespace
}

/** Names are asked for over UDP as well. */
function written(openings: readonly Opening[], world: World): readonly string[] {
  return sorted(
    openings
      .filter(([from, to]) => world.has(from) && world.has(to))
      .flatMap(([from, to, ...ports]) =>
        ports.flatMap((port) => {
          const line = `${from} → ${to}:${port}`
          return port === 53 ? [line, `${line}/UDP`] : [line]
        }),
      ),
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
function infrastructure({ plan, mesh }: RenderedCase): readonly Opening[] {
  const services = plan.services.map(({ name }) => name)
  const withEdge = mesh === 'istio' ? [...services, 'the edge'] : services
  const metrics = { istio: [15_020], linkerd: [4191, 9464], none: [9464] }[mesh]
  return [
    ...withEdge.flatMap((name) => controlPlane(mesh, name)),
    ...[...withEdge, ...dataEnds, 'kafka entity operator', 'kafka exporter'].map((name): Opening => [name, 'dns', 53]),
    // Envoy Gateway's proxies have spans of their own, too.
    ...[...services, 'the edge'].map((name): Opening => [name, 'jaeger', 4317]),
    ...(mesh === 'istio' ? [] : [['the edge', 'jaeger', 4318] as const]),
    ...(mesh === 'istio' ? withEdge : services).map((name): Opening => ['prometheus', name, ...metrics]),
    ['prometheus', 'jaeger', 8888],
    ...pages(plan),
  ]
}

function controlPlane(mesh: Mesh, name: string): readonly Opening[] {
  switch (mesh) {
    case 'istio':
      return [[name, 'istiod', 15_012]]
    case 'linkerd':
      return [
        [name, 'linkerd', 8086, 8090],
        [name, 'linkerd identity', 8080],
      ]
    case 'none':
      return []
  }
}

function pages({ externals }: Plan): readonly Opening[] {
  return externals
    .filter(({ standIn }) => standIn?.webPort)
    .map(({ name, standIn }): Opening => ['the edge', `outside/${name}`, standIn?.webPort ?? 0])
}

const dataEnds = ['kafka', 'postgres', 'rabbitmq'] as const

/** Among brokers and databases, and with their operators. */
const dataServices: readonly Opening[] = [
  // With others of their own kind.
  ['kafka', 'kafka', 9090, 9091],
  ['postgres', 'postgres', 5432, 8000],
  ['rabbitmq', 'rabbitmq', 4369, 25_672],
  ['kafka entity operator', 'kafka', 9091],
  ['kafka exporter', 'kafka', 9091],
  ['strimzi', 'kafka', 8443, 9090, 9091],
  ['cnpg', 'postgres', 5432, 8000],
  ['rabbitmq operator', 'rabbitmq', 15_672],
  ['topology operator', 'rabbitmq', 15_672],
  ['prometheus', 'kafka', 9404],
  ['prometheus', 'kafka exporter', 9404],
  ['prometheus', 'postgres', 9187],
  ['prometheus', 'rabbitmq', 15_692],
]

function sorted(lines: readonly string[]): readonly string[] {
  return [...new Set(lines)].sort()
}
