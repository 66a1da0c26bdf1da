/**
 * When a custom resource is well, by kind. `parley up` and `parley apply` wait by this table, and the checks of Flux and Argo CD
 * are written from it, so that a wave ends at the same moment whoever applies it.
 */

/** Kinds that are well under the same conditions. */
export type Health = {
  readonly group: string
  readonly kinds: readonly string[]
  /** Each of these conditions must be true, and be of the present generation where it says of which it is. */
  readonly conditions: readonly string[]
  /** Fields of the status that must be true, for kinds that write no conditions. */
  readonly fields?: readonly string[]
  /** Its controller writes the generation that it has seen, which must be the present one. */
  readonly observed?: true
}

/**
 * Kinds that are delivered with a system or its operators and say by a condition how they are. Before their operator has
 * looked at them they have none, which common conventions would count as well.
 */
export const health: readonly Health[] = [
  { group: 'kafka.strimzi.io', kinds: ['Kafka', 'KafkaTopic', 'KafkaUser'], conditions: ['Ready'], observed: true },
  { group: 'postgresql.cnpg.io', kinds: ['Cluster'], conditions: ['Ready'] },
  {
    group: 'postgresql.cnpg.io',
    kinds: ['Database', 'DatabaseRole'],
    conditions: [],
    fields: ['applied'],
    observed: true,
  },
  {
    group: 'rabbitmq.com',
    kinds: ['RabbitmqCluster'],
    conditions: ['AllReplicasReady', 'ClusterAvailable', 'ReconcileSuccess'],
  },
  {
    group: 'rabbitmq.com',
    kinds: [
      'Binding',
      'Exchange',
      'OperatorPolicy',
      'Permission',
      'Policy',
      'Queue',
      'TopicPermission',
      'User',
      'Vhost',
    ],
    conditions: ['Ready'],
    observed: true,
  },
  { group: 'cert-manager.io', kinds: ['Certificate', 'ClusterIssuer', 'Issuer'], conditions: ['Ready'] },
  { group: 'gateway.networking.k8s.io', kinds: ['Gateway'], conditions: ['Accepted', 'Programmed'] },
  { group: 'gateway.networking.k8s.io', kinds: ['GatewayClass'], conditions: ['Accepted'] },
  { group: 'monitoring.coreos.com', kinds: ['Alertmanager', 'Prometheus'], conditions: ['Available', 'Reconciled'] },
  { group: 'keda.sh', kinds: ['ScaledObject'], conditions: ['Ready'] },
]

/** When objects of a kind are well; null for one that the table does not have. `apiVersion` may have any version. */
export function healthOfKind(apiVersion: string, kind: string): Health | null {
  const group = apiVersion.split('/').at(-2) ?? ''
  return health.find((each) => each.group === group && each.kinds.includes(kind)) ?? null
}
