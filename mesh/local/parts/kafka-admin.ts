import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Acl,
  type AclFilter,
  AclOperations,
  AclPermissionTypes,
  Admin,
  ConfigResourceTypes,
  FindCoordinatorKeyTypes,
  IncrementalAlterConfigOperationTypes,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import type { Plan, PlannedTopic } from '#plan/plan.ts'
import type { Endpoint } from '../layout.ts'
import type { TlsIdentity } from './probe.ts'

const visiblePollMs = 20
const visibleMsMax = 5_000
const { SET, DELETE } = IncrementalAlterConfigOperationTypes
const { TOPIC, BROKER } = ConfigResourceTypes

/**
 * Brings topics and access to the plan. Topics are created, and grow in partitions; one that is no longer declared stays
 * with its events, out of everybody's reach. Access is made equal: what is not granted any more is taken.
 * @throws where a topic has more partitions than declared: they can only grow
 */
export async function provisionKafka(plan: Plan, broker: Endpoint, identity: TlsIdentity): Promise<void> {
  const admin = connect(broker, identity)
  try {
    await provisionTopics(admin, plan.topics)
    await provisionAccess(admin, plan)
    await provisionGroups(admin, plan)
  } finally {
    await admin.close()
  }
}

/**
 * Makes the broker read its certificate and authorities again. It does so when a setting of the listener changes, and
 * also when one is deleted that was never set, which leaves no trace. It answers before it has done it: see the caller.
 */
export async function reloadKafkaCertificates(
  broker: Endpoint,
  identity: TlsIdentity,
  listeners: readonly string[],
): Promise<void> {
  const admin = connect(broker, identity)
  const configs = listeners.map((listener) => ({
    name: `listener.name.${listener.toLowerCase()}.ssl.keystore.location`,
    configOperation: DELETE,
  }))
  try {
    await admin.incrementalAlterConfigs({ resources: [{ resourceType: BROKER, resourceName: '1', configs }] })
  } finally {
    await admin.close()
  }
}

/** The access control list that follows from the grants. Reading and writing include describing. */
export function aclsOf({ grants }: Pick<Plan, 'grants'>): readonly Acl[] {
  const allow = (
    service: string,
    resourceType: Acl['resourceType'],
    name: string,
    operation: Acl['operation'],
  ): Acl => ({
    resourceType,
    resourceName: name,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${service}`,
    host: '*',
    operation,
    permissionType: AclPermissionTypes.ALLOW,
  })
  const { READ, WRITE } = AclOperations
  return [
    // Idempotent producers need nothing more: since Kafka 3.0 whoever may write a topic may do it idempotently.
    ...grants.topics.map(({ service, topic, operation }) =>
      allow(service, ResourceTypes.TOPIC, topic, operation === 'read' ? READ : WRITE),
    ),
    ...grants.groups.map(({ service, group }) => allow(service, ResourceTypes.GROUP, group, READ)),
  ]
}

function connect({ address, port }: Endpoint, tls: TlsIdentity): Admin {
  return new Admin({
    ...{ clientId: 'parley', bootstrapBrokers: [`${address}:${port}`], tls },
    ...{ retries: 3, retryDelay: 100, timeout: 10_000 },
  })
}

async function provisionTopics(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  const existing = new Set(await admin.listTopics())
  const missing = topics.filter(({ name }) => !existing.has(name))
  await createTopics(admin, missing)
  await visible(admin, missing)
  const present = topics.filter(({ name }) => existing.has(name))
  if (present.length === 0) return
  await grow(admin, present)
  await alter(admin, present)
}

/** One request for all topics of a shape, since a request has one number of partitions and one of replicas. */
async function createTopics(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  const shapes = Map.groupBy(topics, (topic) => JSON.stringify([topic.partitions, topic.replication, configOf(topic)]))
  for (const [first, ...others] of shapes.values()) {
    if (!first) continue
    await admin.createTopics({
      topics: [first, ...others].map(({ name }) => name),
      partitions: first.partitions,
      replicas: first.replication,
      configs: Object.entries(configOf(first)).map(([name, value]) => ({ name, value })),
    })
  }
}

/** The controller answers before the broker knows: who asked at once would be told that there is no such topic. */
async function visible(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  for (let waitedMs = 0; topics.length > 0; waitedMs += visiblePollMs) {
    const known = new Set(await admin.listTopics())
    const hidden = topics.filter(({ name }) => !known.has(name))
    if (hidden.length === 0) return
    if (waitedMs > visibleMsMax)
      throw new Error(`Kafka created topics and does not show them: ${hidden.map(({ name }) => name).join(', ')}.`)
    await sleep(visiblePollMs)
  }
}

async function grow(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  const metadata = await admin.metadata({ topics: topics.map(({ name }) => name), forceUpdate: true })
  const counts = topics.map((topic) => ({ topic, has: metadata.topics.get(topic.name)?.partitionsCount ?? 0 }))
  const shrunk = counts.filter(({ topic, has }) => topic.partitions < has)
  if (shrunk.length > 0) {
    const list = shrunk.map(({ topic, has }) => `${topic.name} has ${has} and is declared with ${topic.partitions}`)
    throw new Error(
      `Kafka's topics cannot lose partitions: ${list.join('; ')}. Declare as many as there are, or delete the topic with its events.`,
    )
  }
  const growing = counts.filter(({ topic, has }) => topic.partitions > has)
  if (growing.length === 0) return
  await admin.createPartitions({
    topics: growing.map(({ topic }) => ({ name: topic.name, count: topic.partitions, assignments: [] })),
  })
}

async function alter(admin: Admin, topics: readonly PlannedTopic[]): Promise<void> {
  const described = await admin.describeConfigs({
    resources: topics.map((topic) => ({
      resourceType: TOPIC,
      resourceName: topic.name,
      configurationKeys: Object.keys(configOf(topic)),
    })),
  })
  const changed = topics.flatMap((topic) => {
    const now = described.find(({ resourceName }) => resourceName === topic.name)?.configs ?? []
    const configs = Object.entries(configOf(topic))
      .filter(([name, value]) => now.find((config) => config.name === name)?.value !== value)
      .map(([name, value]) => ({ name, value, configOperation: SET }))
    return configs.length > 0 ? [{ resourceType: TOPIC, resourceName: topic.name, configs }] : []
  })
  if (changed.length > 0) await admin.incrementalAlterConfigs({ resources: changed })
}

function configOf(topic: PlannedTopic): Record<string, string> {
  return {
    'retention.ms': String(topic.retentionMs),
    'min.insync.replicas': String(topic.minInSyncReplicas),
    // A producer whose clock is ahead must not close anybody's windows.
    'message.timestamp.type': 'LogAppendTime',
  }
}

const anyAcl: AclFilter = {
  resourceType: ResourceTypes.ANY,
  resourceName: null,
  resourcePatternType: ResourcePatternTypes.ANY,
  principal: null,
  host: null,
  operation: AclOperations.ANY,
  permissionType: AclPermissionTypes.ANY,
}

/** The first question for a group makes the broker create the topic of all groups; until then, joining fails. */
async function provisionGroups(admin: Admin, { grants }: Plan): Promise<void> {
  const groups = grants.groups.map(({ group }) => group)
  if (groups.length === 0) return
  for (let waitedMs = 0; ; waitedMs += visiblePollMs)
    try {
      await admin.findCoordinator({ keyType: FindCoordinatorKeyTypes.GROUP, keys: groups })
      return
    } catch (error) {
      if (waitedMs > visibleMsMax) throw error
      await sleep(visiblePollMs)
    }
}

async function provisionAccess(admin: Admin, plan: Plan): Promise<void> {
  const resources = await admin.describeAcls({ filter: anyAcl })
  const present = resources.flatMap(({ acls, ...target }) =>
    acls.map((permission): Acl => ({ ...target, ...permission })),
  )
  const wanted = aclsOf(plan)
  const stale = without(present, wanted)
  const missing = without(wanted, present)
  if (stale.length > 0) await admin.deleteAcls({ filters: stale })
  if (missing.length > 0) await admin.createAcls({ creations: missing })
}

function without(acls: readonly Acl[], others: readonly Acl[]): Acl[] {
  const keys = new Set(others.map(aclKey))
  return acls.filter((acl) => !keys.has(aclKey(acl)))
}

function aclKey(acl: Acl): string {
  const { resourceType, resourceName, resourcePatternType, principal, host, operation, permissionType } = acl
  return JSON.stringify([resourceType, resourceName, resourcePatternType, principal, host, operation, permissionType])
}
