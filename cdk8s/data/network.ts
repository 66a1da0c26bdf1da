import { type Site, selectorOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { dns, networkPolicy, type Peer, type Port, pods, podsIn, tcp } from '../policies/peers.ts'
import { aboutOperatorsPods } from './objects.ts'

/** Who may come in, or what may be reached, at which ports. */
export type Opening = { readonly peers: readonly Peer[]; readonly ports: readonly Port[] }

/** The pods of the services with a grant. None at all is no opening, since an empty list of peers would mean everybody. */
export function servicePeers(services: readonly string[]): readonly Peer[] {
  return services.map((name) => pods(selectorOf(name)))
}

/** Those, and KEDA where it scales: it asks brokers for lag in the services' names. */
export function consumerPeers({ settings }: Site, services: readonly string[]): readonly Peer[] {
  const peers = servicePeers(services)
  return settings.keda && peers.length > 0 ? [...peers, podsIn('keda')] : peers
}

/**
 * The Kubernetes API, which has no pods that a policy could select: where the cluster's owners say that it is, else
 * wherever its ports are. Credentials decide who is served there.
 */
export function kubernetesApi({ settings: { apiServer } }: Site): Opening {
  if (apiServer === null) return { peers: anywhere, ports: tcp(443, 6443) }
  return { peers: apiServer.cidrs.map((cidr) => ({ ipBlock: { cidr } })), ports: tcp(apiServer.port) }
}

/** Addresses that nobody knows before. */
export const anywhere: readonly Peer[] = [{ ipBlock: { cidr: '0.0.0.0/0' } }]

/** Names are looked up at the cluster's own server. */
export const dnsOpening: Opening = { peers: dns.to ?? [], ports: dns.ports }

/** The policy of a data service's pods: everything that they may do on the network. An opening without peers is left out. */
export function dataNetwork(
  site: Site,
  of: { readonly name: string; readonly component: string; readonly selector: Readonly<Record<string, string>> },
  { ingress, egress }: { readonly ingress: readonly Opening[]; readonly egress: readonly Opening[] },
): Manifest {
  const { name, component, selector } = of
  const open = (all: readonly Opening[]) => all.filter(({ peers }) => peers.length > 0)
  const policy = networkPolicy(
    site,
    { name, component, namespace: site.namespace, pods: { matchLabels: selector } },
    {
      ingress: open(ingress).map(({ peers, ports }) => ({ from: peers, ports })),
      egress: open(egress).map(({ peers, ports }) => ({ to: peers, ports })),
    },
  )
  return aboutOperatorsPods(policy)
}
