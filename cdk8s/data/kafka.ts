import type { Plan } from '#plan/plan.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { kafkaNetwork, kafkaPeers } from './kafka-network.ts'
import { classOf, objectOf, outOfMesh, resourcesOf, restrictedContainer, restrictedPod } from './objects.ts'

const apiVersion = 'kafka.strimzi.io/v1'
const component = 'broker'
const version = { version: '4.3.1', metadataVersion: '4.3-IV0' } as const

/** Kafka by Strimzi: the cluster, its node pools and their network. Nothing where the plan has no topic. */
export const kafka: SystemPart = {
  wave: 'data',
  name: 'system.kafka',
  render: (site, plan) =>
    plan.topics.length === 0 ? [] : [cluster(site, plan), ...nodePools(site, plan), ...kafkaNetwork(site, plan)],
}

function cluster(site: Site, plan: Plan): Manifest {
  return objectOf(site, {
    apiVersion,
    kind: 'Kafka',
    name: dataNames(site).kafka.cluster,
    component,
    fields: {
      spec: {
        kafka: {
          ...version,
          listeners: [listener(site, plan)],
          // Who is in no list is refused, and what an ACL does not allow.
          authorization: { type: 'simple' },
          config: brokerConfig(plan),
          metricsConfig: { type: 'strimziMetricsReporter' },
          template: { podDisruptionBudget: { maxUnavailable: 1 } },
        },
        entityOperator: entityOperator(site),
        // Brokers do not know how far groups are; a group whose consumers are all gone is the one to be told of.
        kafkaExporter: {
          resources: resourcesOf('50m', '64Mi'),
          template: { pod: podTemplate(), container: { securityContext: restrictedContainer } },
        },
      },
    },
  })
}

/** The only way in: mutual TLS, for the services that use a topic and for nobody else. */
function listener(site: Site, plan: Plan) {
  return {
    name: 'tls',
    port: dataNames(site).kafka.port,
    type: 'internal',
    tls: true,
    authentication: { type: 'tls' },
    networkPolicyPeers: kafkaPeers(site, plan),
  }
}

function brokerConfig({ brokers, topics }: Plan) {
  const replicas = Math.min(3, brokers.count)
  const inSync = replicas === 3 ? 2 : 1
  return {
    'allow.everyone.if.no.acl.found': false,
    'auto.create.topics.enable': false,
    'default.replication.factor': replicas,
    'min.insync.replicas': Math.min(inSync, ...topics.map(({ minInSyncReplicas }) => minInSyncReplicas)),
    'offsets.topic.replication.factor': replicas,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'ssl.enabled.protocols': 'TLSv1.3',
    // A replica that missed events never leads: those events would be gone though they were acknowledged.
    'unclean.leader.election.enable': false,
    ...(replicas === 1 ? { 'group.initial.rebalance.delay.ms': 0, 'offsets.topic.num.partitions': 3 } : {}),
  }
}

/**
 * With three brokers or more the controllers are nodes of their own: so brokers can be rolled, scaled and overloaded while
 * the quorum stands. Fewer brokers are controllers too, as there is nothing to protect.
 */
function nodePools(site: Site, { brokers: { count, storageGiB } }: Plan): readonly Manifest[] {
  const pool = { count, storageGiB, memory: '1Gi', heapMiB: 512, cpu: '250m' }
  if (count < 3) return [nodePool(site, 'dual', ['controller', 'broker'], pool)]
  return [
    nodePool(site, 'broker', ['broker'], { ...pool, memory: '8Gi', heapMiB: 4_096, cpu: '1' }),
    nodePool(site, 'controller', ['controller'], { ...pool, count: 3, storageGiB: 10, memory: '2Gi', heapMiB: 1_024 }),
  ]
}

type Size = {
  readonly count: number
  readonly storageGiB: number
  readonly memory: string
  readonly heapMiB: number
  readonly cpu: string
}

function nodePool(site: Site, name: string, roles: readonly string[], size: Size): Manifest {
  const { cluster: kafkaCluster } = dataNames(site).kafka
  const volume = { type: 'persistent-claim', size: `${size.storageGiB}Gi`, ...classOf(site, 'class') }
  return objectOf(site, {
    apiVersion,
    kind: 'KafkaNodePool',
    name,
    component,
    labels: { 'strimzi.io/cluster': kafkaCluster },
    fields: {
      spec: {
        replicas: size.count,
        roles,
        storage: {
          type: 'jbod',
          volumes: [{ id: 0, ...volume, deleteClaim: site.environment !== 'production', kraftMetadata: 'shared' }],
        },
        resources: resourcesOf(size.cpu, size.memory),
        jvmOptions: { '-Xms': `${size.heapMiB}m`, '-Xmx': `${size.heapMiB}m` },
        template: {
          pod: { ...podTemplate(), ...(size.count > 1 ? spread(kafkaCluster, name) : {}) },
          kafkaContainer: { securityContext: restrictedContainer },
        },
      },
    },
  })
}

/** One node of a pool a machine, and zones as evenly as they go. */
function spread(kafkaCluster: string, pool: string) {
  const labelSelector = { matchLabels: { 'strimzi.io/cluster': kafkaCluster, 'strimzi.io/pool-name': pool } }
  const over = (topologyKey: string, whenUnsatisfiable: string) => ({
    ...{ maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector },
  })
  return {
    topologySpreadConstraints: [
      over('kubernetes.io/hostname', 'DoNotSchedule'),
      over('topology.kubernetes.io/zone', 'ScheduleAnyway'),
    ],
  }
}

function entityOperator(site: Site) {
  const resources = resourcesOf('50m', site.environment === 'production' ? '512Mi' : '384Mi')
  const container = { securityContext: restrictedContainer }
  return {
    topicOperator: { resources },
    userOperator: { resources },
    template: { pod: podTemplate(), topicOperatorContainer: container, userOperatorContainer: container },
  }
}

function podTemplate() {
  return { metadata: outOfMesh, securityContext: restrictedPod }
}
