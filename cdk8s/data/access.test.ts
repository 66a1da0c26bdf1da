/** What a cluster grants is what the local run grants, and that is what was declared. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { aclsOf } from '#local/parts/kafka-admin.ts'
import { postgresAccess as localPostgresAccess } from '#local/parts/postgres.ts'
import { definitionsOf, permissionsOf as localPermissionsOf } from '#local/parts/rabbitmq-definitions.ts'
import { fixturePlan } from '#local/parts/system-fixture.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { slicesOf } from '#plan/slices.ts'
import { type Settings, siteOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart, SystemPart } from '../component.ts'
import { parseSettings } from '../settings.ts'
import { kafka } from './kafka.ts'
import { kafkaAccess } from './kafka-access.ts'
import { objectNameOf } from './objects.ts'
import { postgres } from './postgres.ts'
import { postgresAccessPart } from './postgres-access.ts'
import { rabbitmq } from './rabbitmq.ts'
import { rabbitmqTopology } from './rabbitmq-topology.ts'

const settings = parseSettings(
  'image: { repository: parley/services, tag: dev }\ngit: { url: "https://git.example/x.git", revision: main }\n',
  'test.yaml',
)
const production = derive(shop, 'production')
const plans: readonly (readonly [string, Plan])[] = [
  ['the shop', production],
  ['a system with every kind of edge', fixturePlan],
]

describe.each(plans)('%s', (_name, plan) => {
  test('Kafka: each user may do what the local run lets it do', () => {
    const words = ['?', '?', '?', 'Read', 'Write']
    const types = ['?', '?', 'topic', 'group']
    const local = aclsOf(plan).map(
      ({ principal, resourceType, resourceName, operation }) =>
        `${principal.replace('User:', '')}: ${words[operation]} ${types[resourceType]} ${resourceName}`,
    )
    const cluster = of(objects(plan, kafkaAccess), 'KafkaUser').flatMap((user) =>
      (at(user, 'spec', 'authorization', 'acls') as Acl[]).flatMap(({ resource, operations }) =>
        operations.map((operation) => `${user.metadata.name}: ${operation} ${resource.type} ${resource.name}`),
      ),
    )
    expect(cluster.toSorted()).toEqual([...new Set(local)].sort())
  })

  test('Postgres: each role reaches its own database, by certificate, and all else is refused', () => {
    const local = [...localPostgresAccess(plan).matchAll(/local ("[^"]+" "[^"]+")/g)].map(([, pair]) => pair)
    const lines = at(only(objects(plan, postgres), 'Cluster'), 'spec', 'postgresql', 'pg_hba') as string[]
    expect(lines.at(-1)).toBe('host all all all reject')
    expect(lines.slice(0, -1).map((line) => line.match(/^hostssl (.*) all cert$/)?.[1])).toEqual(local)
    const roles = of(objects(plan, postgresAccessPart), 'DatabaseRole')
    expect(roles.map(({ metadata }) => metadata.name)).toEqual(plan.stores.map(({ role }) => role).sort())
    for (const role of roles) expect(role.spec).toMatchObject({ disablePassword: true, login: true })
  })

  test('RabbitMQ: the same queues, exchanges, policies and permissions', () => {
    const local = definitionsOf(plan, {})
    const there = [...objects(plan, rabbitmq), ...objects(plan, rabbitmqTopology)]
    const specs = (kind: string) => of(there, kind).map(({ spec }) => spec as Record<string, unknown>)
    expect(named(specs('Queue'))).toEqual(named(local.queues))
    expect(specs('Queue').every(({ type, durable }) => type === 'quorum' && durable === true)).toBe(true)
    expect(named(specs('Exchange'), 'type')).toEqual(named(local.exchanges, 'type'))
    expect(named(specs('Policy'), 'pattern', 'definition', 'priority')).toEqual(
      named(local.policies, 'pattern', 'definition', 'priority'),
    )
    expect(
      specs('Binding').map(({ source, destination, routingKey }) => `${source} ${destination} ${routingKey}`),
    ).toEqual(
      expect.arrayContaining(local.bindings.map((one) => `${one.source} ${one.destination} ${one.routing_key}`)),
    )
    expect(specs('Binding')).toHaveLength(local.bindings.length)
    const permissions = of(there, 'Permission').map((one) => ({
      user: at(one, 'spec', 'userReference', 'name'),
      ...(at(one, 'spec', 'permissions') as object),
    }))
    const byUser = (a: { user: unknown }, b: { user: unknown }) => (String(a.user) < String(b.user) ? -1 : 1)
    expect(permissions.toSorted(byUser)).toEqual([...localPermissionsOf(plan)].sort(byUser))
  })

  test('the network lets in whom a grant names, at the port of clients, and no other service', () => {
    const admitted = (part: SystemPart, name: string, port: number) =>
      networkPolicies(objects(plan, part))
        .filter(({ metadata }) => metadata.name === name)
        .flatMap(({ spec }) => spec.ingress)
        .filter(({ ports }) => ports.some((one) => one.port === port))
        .flatMap(({ from }) => from.flatMap((peer) => peer.podSelector?.matchLabels?.app ?? []))
        .sort()
    const users = (grants: readonly { service: string }[]) => [...new Set(grants.map(({ service }) => service))].sort()
    const { topics, groups, databases, queues } = plan.grants
    expect(admitted(kafka, `${plan.system}-kafka-brokers`, 9093)).toEqual(users([...topics, ...groups]))
    expect(admitted(postgres, `${plan.system}-postgres`, 5432)).toEqual(users(databases))
    expect(admitted(rabbitmq, `${plan.system}-rabbitmq`, 5671)).toEqual(users(queues))
    for (const part of [kafka, postgres, rabbitmq])
      for (const policy of networkPolicies(objects(plan, part)))
        for (const rule of policy.spec.ingress) {
          expect(rule.from.length).toBeGreaterThan(0)
          expect(rule.ports.length).toBeGreaterThan(0)
        }
  })
})

test('KEDA reaches the brokers that it asks for lag, where it scales, and no database', () => {
  const keda = siteOf(production, 'istio', { ...settings, keda: true })
  const reached = [kafka, postgres, rabbitmq].map((part) =>
    JSON.stringify(networkPolicies(part.render(keda, production))).includes('"keda"'),
  )
  expect(reached).toEqual([true, false, true])
  expect(JSON.stringify(objects(production, kafka))).not.toContain('"keda"')
})

test('who asks the Kubernetes API reaches it alone, and only the database its backups', () => {
  const reached = (change: Partial<Settings>) =>
    Object.fromEntries(
      [kafka, postgres, rabbitmq].flatMap((part) =>
        networkPolicies(part.render(siteOf(production, 'istio', { ...settings, ...change }), production)).map(
          ({ metadata, spec }) => [metadata.name, addressesOf(spec.egress)],
        ),
      ),
    )
  const backup = { destination: 's3://b', secret: 'keys', retention: '30d', schedule: '0 0 2 * * *' }
  const none = { 'shop-kafka-exporter': [], 'shop-rabbitmq': [] }
  const all = ['0.0.0.0/0:443', '0.0.0.0/0:6443']
  const kafkas = (to: readonly string[]) => ({ 'shop-kafka-brokers': to, 'shop-kafka-entity-operator': to })
  expect(reached({})).toEqual({ ...none, ...kafkas(all), 'shop-postgres': all })
  const apiServer = { cidrs: ['10.0.0.1/32'], port: 6443 }
  expect(reached({ apiServer, backup: { ...backup, endpoint: 'https://objects.example:9000/a:1' } })).toEqual({
    ...none,
    ...kafkas(['10.0.0.1/32:6443']),
    'shop-postgres': ['10.0.0.1/32:6443', '0.0.0.0/0:9000'],
  })
  for (const endpoint of [null, 'https://objects.example'])
    expect(reached({ apiServer, backup: { ...backup, endpoint } })['shop-postgres']?.at(-1)).toBe('0.0.0.0/0:443')
})

test('an administrator of queues is one of the two operators, no other pod of their namespace', () => {
  const [policy] = networkPolicies(objects(production, rabbitmq))
  const peers = policy?.spec.ingress.filter(({ ports }) => ports.some(({ port }) => port === 15672))
  expect(peers?.flatMap(({ from }) => from.map(({ podSelector }) => podSelector?.matchLabels))).toEqual([
    { 'app.kubernetes.io/name': 'rabbitmq-cluster-operator' },
    { 'app.kubernetes.io/name': 'messaging-topology-operator' },
  ])
})

test('machines are drained one after another where queues have several nodes, and at once where they have one', () => {
  const budgets = (plan: Plan) => of(objects(plan, rabbitmq), 'PodDisruptionBudget').map(({ spec }) => spec)
  expect(budgets(production)).toEqual([
    { maxUnavailable: 1, selector: { matchLabels: { 'app.kubernetes.io/name': 'shop-rabbitmq' } } },
  ])
  expect(budgets(derive(shop, 'kind'))).toEqual([])
})

test('production loses nothing that was acknowledged when one machine is gone', () => {
  const brokers = only(objects(production, kafka), 'Kafka')
  expect(at(brokers, 'spec', 'kafka', 'config')).toMatchObject({
    'default.replication.factor': 3,
    'min.insync.replicas': 2,
    'unclean.leader.election.enable': false,
    'auto.create.topics.enable': false,
    'allow.everyone.if.no.acl.found': false,
  })
  for (const topic of of(objects(production, kafkaAccess), 'KafkaTopic'))
    expect(topic.spec).toMatchObject({
      replicas: 3,
      config: { 'min.insync.replicas': 2, 'message.timestamp.type': 'LogAppendTime' },
    })
  expect(at(only(objects(production, postgres), 'Cluster'), 'spec')).toMatchObject({
    instances: 3,
    postgresql: { synchronous: { method: 'any', number: 1, dataDurability: 'required' } },
  })
  expect(at(only(objects(production, rabbitmq), 'RabbitmqCluster'), 'spec', 'replicas')).toBe(3)
})

test('a plan without topics, stores and queues needs none of them', () => {
  const bare: Plan = { ...production, topics: [], stores: [], queues: [] }
  expect([kafka, postgres, rabbitmq].flatMap((part) => objects(bare, part))).toEqual([])
})

test('the pool of the database is as large as all that its roles may take together', () => {
  const limits = of(objects(production, postgresAccessPart), 'DatabaseRole').map((role) =>
    Number(at(role, 'spec', 'connectionLimit')),
  )
  const max = at(only(objects(production, postgres), 'Cluster'), 'spec', 'postgresql', 'parameters', 'max_connections')
  expect(Number(max)).toBe(limits.reduce((sum, limit) => sum + limit, 0) + 20)
})

test('whatever a topic, queue or database is called, its object has a name that Kubernetes takes, and its own', () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9_]([a-zA-Z0-9._-]{0,247}[a-zA-Z0-9_-])?$/)
  fc.assert(
    fc.property(fc.uniqueArray(name), (names) => {
      const made = names.map(objectNameOf)
      expect(made.filter((one) => one.length > 253 || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(one))).toEqual([])
      expect(new Set(made).size).toBe(names.length)
    }),
  )
})

type Acl = { readonly resource: { readonly type: string; readonly name: string }; readonly operations: string[] }
type NetworkPolicy = Manifest & {
  readonly spec: {
    readonly ingress: readonly {
      readonly from: readonly { readonly podSelector?: { readonly matchLabels?: { readonly app?: string } } }[]
      readonly ports: readonly { readonly port: number }[]
    }[]
    readonly egress: readonly {
      readonly to: readonly { readonly ipBlock?: { readonly cidr: string } }[]
      readonly ports: readonly { readonly port: number }[]
    }[]
  }
}

function addressesOf(egress: NetworkPolicy['spec']['egress']): readonly string[] {
  return egress.flatMap(({ to, ports }) =>
    to.flatMap(({ ipBlock }) => (ipBlock ? ports.map(({ port }) => `${ipBlock.cidr}:${port}`) : [])),
  )
}

function objects(plan: Plan, part: ServicePart | SystemPart): readonly Manifest[] {
  const site = siteOf(plan, 'istio', settings)
  return 'name' in part
    ? part.render(site, plan)
    : [...slicesOf(plan).values()].flatMap((slice) => part.render(site, slice))
}

function of(all: readonly Manifest[], kind: string): readonly Manifest[] {
  return all.filter((object) => object.kind === kind)
}

function only(all: readonly Manifest[], kind: string): Manifest {
  const [object, ...others] = of(all, kind)
  if (!object || others.length > 0) throw new Error(`There is not exactly one ${kind}`)
  return object
}

function networkPolicies(all: readonly Manifest[]): readonly NetworkPolicy[] {
  return of(all, 'NetworkPolicy') as readonly NetworkPolicy[]
}

function at(object: unknown, ...path: readonly string[]): unknown {
  return path.reduce((value, key) => (value as Record<string, unknown>)[key], object)
}

/** What is called how, with some of its fields, in order of the names. */
function named(all: readonly object[], ...fields: readonly string[]): readonly unknown[] {
  return all
    .map((one) => Object.fromEntries(['name', ...fields].map((field) => [field, at(one, field)])))
    .sort((a, b) => (String(a.name) < String(b.name) ? -1 : 1))
}
