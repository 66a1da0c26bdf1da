import type { Manifest } from '#providers/manifest.ts'

/** When a custom resource is well, in the words of Flux: CEL over the object. A field that is not there yet means: wait. */
export type HealthCheck = {
  readonly apiVersion: string
  readonly kind: string
  readonly current: string
}

const conditionIs = (type: string, status: string) =>
  `status.conditions.exists(e, e.type == '${type}' && e.status == '${status}')`
const ready = conditionIs('Ready', 'True')
const observed = 'status.observedGeneration == metadata.generation'

/**
 * Kinds whose health does not follow from the common conventions: before their operator has looked at them they have no
 * conditions at all, which would count as well.
 */
const checks: readonly { readonly group: string; readonly kinds: readonly string[]; readonly current: string }[] = [
  { group: 'kafka.strimzi.io', kinds: ['Kafka', 'KafkaTopic', 'KafkaUser'], current: `${observed} && ${ready}` },
  { group: 'postgresql.cnpg.io', kinds: ['Cluster'], current: ready },
  { group: 'postgresql.cnpg.io', kinds: ['Database', 'DatabaseRole'], current: `${observed} && status.applied` },
  {
    group: 'rabbitmq.com',
    kinds: ['RabbitmqCluster'],
    current: `${conditionIs('AllReplicasReady', 'True')} && ${conditionIs('ReconcileSuccess', 'True')}`,
  },
  {
    group: 'rabbitmq.com',
    kinds: ['Binding', 'Exchange', 'Permission', 'Policy', 'Queue', 'TopicPermission', 'User', 'Vhost'],
    current: `${observed} && ${ready}`,
  },
  { group: 'cert-manager.io', kinds: ['Certificate', 'Issuer', 'ClusterIssuer'], current: ready },
  { group: 'gateway.networking.k8s.io', kinds: ['Gateway'], current: conditionIs('Programmed', 'True') },
  { group: 'keda.sh', kinds: ['ScaledObject'], current: ready },
]

/** The checks for the kinds among these objects, in the order of their names. */
export function healthOf(objects: readonly Manifest[]): readonly HealthCheck[] {
  const there = new Map(objects.map(({ apiVersion, kind }) => [`${apiVersion}/${kind}`, { apiVersion, kind }]))
  return [...there.keys()].sort().flatMap((key) => {
    const { apiVersion, kind } = there.get(key) ?? { apiVersion: '', kind: '' }
    const group = apiVersion.slice(0, Math.max(0, apiVersion.indexOf('/')))
    const check = checks.find((each) => each.group === group && each.kinds.includes(kind))
    return check ? [{ apiVersion, kind, current: check.current }] : []
  })
}
