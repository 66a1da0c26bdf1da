import type { Plan } from '#plan/plan.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { dns, kubernetesApi, networkPolicy, pods, podsOf, prometheusPods, servicePods, tcp } from './network.ts'

const component = 'broker'
/** Strimzi's own listeners: control plane, replication, and the agent that tells the operator how a broker fares. */
const internal = { controlPlane: 9090, replication: 9091, agent: 8443, metrics: 9404 } as const

/**
 * The network of brokers, of the operator of topics and users, and of the exporter. Strimzi makes policies for what comes
 * in as well; these say the same, and what goes out.
 */
export function kafkaNetwork(site: Site, plan: Plan): readonly Manifest[] {
  const { cluster, selector, port } = dataNames(site).kafka
  const named = (name: string) => ({ 'strimzi.io/cluster': cluster, 'strimzi.io/name': `${cluster}-${name}` })
  const brokers = pods(selector)
  const entityOperator = pods(named('entity-operator'))
  const exporter = pods(named('kafka-exporter'))
  const operator = podsOf('strimzi', { 'strimzi.io/kind': 'cluster-operator' })
  const toBrokers = { peers: [brokers], ports: tcp(internal.replication) }
  return [
    networkPolicy(
      site,
      { name: `${cluster}-brokers`, component, selector },
      {
        ingress: [
          { peers: servicePods(kafkaClients(plan)), ports: tcp(port) },
          { peers: [brokers, operator], ports: tcp(internal.controlPlane) },
          { peers: [brokers, operator, entityOperator, exporter], ports: tcp(internal.replication) },
          { peers: [operator], ports: tcp(internal.agent) },
          { peers: [prometheusPods], ports: tcp(internal.metrics) },
        ],
        // Brokers read their certificates from Secrets, as the Kubernetes API gives them.
        egress: [{ peers: [brokers], ports: tcp(internal.controlPlane, internal.replication) }, dns, kubernetesApi],
      },
    ),
    networkPolicy(
      site,
      { name: `${cluster}-entity-operator`, component, selector: named('entity-operator') },
      { ingress: [], egress: [toBrokers, dns, kubernetesApi] },
    ),
    networkPolicy(
      site,
      { name: `${cluster}-exporter`, component, selector: named('kafka-exporter') },
      { ingress: [{ peers: [prometheusPods], ports: tcp(internal.metrics) }], egress: [toBrokers, dns] },
    ),
  ]
}

/** The services that read or write a topic. */
export function kafkaClients({ grants }: Pick<Plan, 'grants'>): readonly string[] {
  return [...new Set([...grants.topics, ...grants.groups].map(({ service }) => service))].sort()
}
