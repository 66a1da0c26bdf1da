import type { Plan } from '#plan/plan.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type Peer, pods, podsIn, prometheus, tcp } from '../policies/peers.ts'
import { consumerPeers, dataNetwork, dnsOpening, kubernetesApi } from './network.ts'

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
  const operator = podsIn('strimzi', { 'strimzi.io/kind': 'cluster-operator' })
  const toBrokers = { peers: [brokers], ports: tcp(internal.replication) }
  return [
    dataNetwork(
      site,
      { name: `${cluster}-brokers`, component, selector },
      {
        ingress: [
          { peers: kafkaPeers(site, plan), ports: tcp(port) },
          { peers: [brokers, operator], ports: tcp(internal.controlPlane) },
          { peers: [brokers, operator, entityOperator, exporter], ports: tcp(internal.replication) },
          { peers: [operator], ports: tcp(internal.agent) },
          { peers: [prometheus], ports: tcp(internal.metrics) },
        ],
        // Brokers read their certificates from Secrets, as the Kubernetes API gives them.
        egress: [
          { peers: [brokers], ports: tcp(internal.controlPlane, internal.replication) },
          dnsOpening,
          kubernetesApi(site),
        ],
      },
    ),
    dataNetwork(
      site,
      { name: `${cluster}-entity-operator`, component, selector: named('entity-operator') },
      { ingress: [], egress: [toBrokers, dnsOpening, kubernetesApi(site)] },
    ),
    dataNetwork(
      site,
      { name: `${cluster}-exporter`, component, selector: named('kafka-exporter') },
      { ingress: [{ peers: [prometheus], ports: tcp(internal.metrics) }], egress: [toBrokers, dnsOpening] },
    ),
  ]
}

/** Who may reach the brokers: the services that read or write a topic. */
export function kafkaPeers(site: Site, { grants }: Pick<Plan, 'grants'>): readonly Peer[] {
  const services = new Set([...grants.topics, ...grants.groups].map(({ service }) => service))
  return consumerPeers(site, [...services].sort())
}
