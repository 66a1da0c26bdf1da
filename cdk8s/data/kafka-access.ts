import { groupsOf } from '#plan/grants.ts'
import type { PlannedTopic } from '#plan/plan.ts'
import { type ServiceSlice, usesTopics } from '#plan/slices.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart } from '../component.ts'
import { objectNameOf, objectOf } from './objects.ts'

const apiVersion = 'kafka.strimzi.io/v1'

/** A service's topics, its dead letters among them, and its user with exactly what it may do. */
export const kafkaAccess: ServicePart = {
  wave: 'data',
  render: (site, slice) =>
    usesTopics(slice) ? [...slice.topics.map((topic) => kafkaTopic(site, topic)), kafkaUser(site, slice)] : [],
}

/** An entry of a user's access list, as Strimzi writes it. */
export type KafkaAcl = {
  readonly type: 'allow'
  readonly resource: { readonly type: 'topic' | 'group'; readonly name: string; readonly patternType: 'literal' }
  readonly operations: readonly ('Read' | 'Write')[]
}

/**
 * What follows from a service's edges. Reading and writing include describing; whoever may write a topic may do it
 * idempotently, and the kit uses no transactions, so that there is nothing else.
 */
function kafkaAcls({ topics, subscriptions }: ServiceSlice): readonly KafkaAcl[] {
  const allow = (type: 'topic' | 'group', name: string, operation: 'Read' | 'Write'): KafkaAcl => ({
    type: 'allow',
    resource: { type, name, patternType: 'literal' },
    operations: [operation],
  })
  const read = subscriptions.flatMap(({ topic, deadLetterTopic }) => [
    topic,
    ...(deadLetterTopic ? [deadLetterTopic] : []),
  ])
  return [
    ...[...new Set(topics.map(({ name }) => name))].map((name) => allow('topic', name, 'Write')),
    ...[...new Set(read)].map((name) => allow('topic', name, 'Read')),
    ...groupsOf(subscriptions).map(({ group }) => allow('group', group, 'Read')),
  ]
}

function kafkaTopic(site: Site, topic: PlannedTopic): Manifest {
  const { name, partitions, replication, retentionMs, minInSyncReplicas } = topic
  return objectOf(site, {
    apiVersion,
    kind: 'KafkaTopic',
    name: objectNameOf(name),
    component: 'topic',
    labels: { 'strimzi.io/cluster': dataNames(site).kafka.cluster },
    fields: {
      spec: {
        topicName: name,
        partitions,
        replicas: replication,
        config: {
          'min.insync.replicas': minInSyncReplicas,
          'retention.ms': retentionMs,
          // A producer whose clock is ahead must not close anybody's windows.
          'message.timestamp.type': 'LogAppendTime',
        },
      },
    },
  })
}

function kafkaUser(site: Site, slice: ServiceSlice): Manifest {
  return objectOf(site, {
    apiVersion,
    kind: 'KafkaUser',
    name: slice.service.name,
    component: 'access',
    labels: { 'strimzi.io/cluster': dataNames(site).kafka.cluster },
    fields: {
      spec: { authentication: { type: 'tls' }, authorization: { type: 'simple', acls: kafkaAcls(slice) } },
    },
  })
}
