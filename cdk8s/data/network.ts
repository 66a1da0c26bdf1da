import { observabilityNamespace, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { objectOf } from './objects.ts'

/** Labels that select pods. */
export type Selector = Readonly<Record<string, string>>

/** One side of a rule of a NetworkPolicy. */
export type Peer = {
  readonly namespaceSelector?: { readonly matchLabels: Selector }
  readonly podSelector?: {
    readonly matchLabels?: Selector
    readonly matchExpressions?: readonly {
      readonly key: string
      readonly operator: 'In'
      readonly values: readonly string[]
    }[]
  }
  readonly ipBlock?: { readonly cidr: string }
}

type Port = { readonly protocol: 'TCP' | 'UDP'; readonly port: number; readonly endPort?: number }

/** Who may come in, or what may be reached, at which ports. */
export type Opening = { readonly peers: readonly Peer[]; readonly ports: readonly Port[] }

/** The pods of services, by name. No service at all is no peer: an empty list would mean everybody. */
export function servicePods(services: readonly string[]): readonly Peer[] {
  if (services.length === 0) return []
  return [{ podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: [...services].sort() }] } }]
}

/** Pods of the system's namespace by labels. */
export function pods(matchLabels: Selector): Peer {
  return { podSelector: { matchLabels } }
}

/** Pods of another namespace, all or those with labels. */
export function podsOf(namespace: string, labels?: Selector): Peer {
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } }
  return labels ? { namespaceSelector, podSelector: { matchLabels: labels } } : { namespaceSelector }
}

/** Whoever scrapes: Prometheus as its operator labels it. */
export const prometheusPods = podsOf(observabilityNamespace, { 'app.kubernetes.io/name': 'prometheus' })

/** TCP ports. */
export function tcp(...ports: readonly number[]): readonly Port[] {
  return ports.map((port) => ({ protocol: 'TCP', port }))
}

/** Names are looked up at the cluster's own server. */
export const dns: Opening = {
  peers: [podsOf('kube-system', { 'k8s-app': 'kube-dns' })],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
}

/**
 * The Kubernetes API, which has no pods that a policy could select, and the object stores of backups. Credentials decide
 * who is served there.
 */
export const kubernetesApi: Opening = { peers: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: tcp(443, 6443) }

/** The policy of a data service's pods: everything that they may do on the network. An opening without peers is left out. */
export function networkPolicy(
  site: Site,
  of: { readonly name: string; readonly component: string; readonly selector: Selector },
  openings: { readonly ingress: readonly Opening[]; readonly egress: readonly Opening[] },
): Manifest {
  const rules = (all: readonly Opening[], side: 'from' | 'to') =>
    all.filter(({ peers }) => peers.length > 0).map(({ peers, ports }) => ({ [side]: peers, ports }))
  return objectOf(site, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    name: of.name,
    component: of.component,
    fields: {
      spec: {
        podSelector: { matchLabels: of.selector },
        policyTypes: ['Ingress', 'Egress'],
        ingress: rules(openings.ingress, 'from'),
        egress: rules(openings.egress, 'to'),
      },
    },
  })
}
