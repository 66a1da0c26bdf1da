import {
  dataNames,
  edgeOf,
  labelsOf,
  type Mesh,
  observabilityNamespace,
  outsideNamespace,
  ports,
  type Site,
  selectorOf,
  tracing,
} from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

/** Who or where: one entry of `from` or `to` in a NetworkPolicy. */
export type Peer = {
  readonly namespaceSelector?: Selector
  readonly podSelector?: Selector
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] }
}
type Selector = { readonly matchLabels?: Readonly<Record<string, string>> }

/** A port as pods see it: NetworkPolicies act behind the Service's address. */
export type Port = { readonly protocol: 'TCP' | 'UDP'; readonly port: number }
export type Ingress = { readonly from?: readonly Peer[]; readonly ports: readonly Port[] }
export type Egress = { readonly to?: readonly Peer[]; readonly ports: readonly Port[] }

/** A NetworkPolicy in both directions: what it does not open stays closed. */
export function networkPolicy(
  site: Site,
  of: { readonly name: string; readonly namespace: string; readonly component: string; readonly pods: Selector },
  { ingress, egress }: { readonly ingress: readonly Ingress[]; readonly egress: readonly Egress[] },
): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: of.name, namespace: of.namespace, labels: labelsOf(site, of.name, of.component) },
    spec: { podSelector: of.pods, policyTypes: ['Ingress', 'Egress'], ingress, egress },
  }
}

export function tcp(...numbers: readonly number[]): readonly Port[] {
  return numbers.map((port) => ({ protocol: 'TCP', port }))
}

/** Pods of the policy's own namespace. */
export function pods(matchLabels: Readonly<Record<string, string>>): Peer {
  return { podSelector: { matchLabels } }
}

/** Pods of another namespace; all of them where no labels are given. */
export function podsIn(namespace: string, matchLabels?: Readonly<Record<string, string>>): Peer {
  const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': namespace } }
  return matchLabels ? { namespaceSelector, podSelector: { matchLabels } } : { namespaceSelector }
}

/** Where a service's pods are called: Linkerd's proxies meet on a port of their own, Istio's keep the application's. */
export function callPorts(mesh: Mesh): readonly Port[] {
  return tcp(mesh === 'linkerd' ? 4143 : ports.app)
}

/** The pods of the edge. */
export function edgePeer(site: Site): Peer {
  const { namespace, podLabels } = edgeOf(site)
  return namespace === site.namespace ? pods(podLabels) : podsIn(namespace, podLabels)
}

/** The stand-in of an external, which listens on the port of every application. */
export function standInPeer(site: Site, external: string): Peer {
  return podsIn(outsideNamespace(site), selectorOf(external))
}

/** Names are resolved by the cluster's DNS alone. */
export const dns: Egress = {
  to: [podsIn('kube-system', { 'k8s-app': 'kube-dns' })],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
}

/** What a proxy needs of its control plane: certificates, configuration, and with Linkerd policy. */
export function controlPlane(mesh: Mesh): readonly Egress[] {
  switch (mesh) {
    case 'istio':
      return [{ to: [podsIn('istio-system', { app: 'istiod' })], ports: tcp(15012) }]
    case 'linkerd':
      return [
        { to: [linkerdPart('identity')], ports: tcp(8080) },
        // Destinations and policy are told by one pod.
        { to: [linkerdPart('destination')], ports: tcp(8086, 8090) },
      ]
    case 'none':
      return []
  }
}

function linkerdPart(component: string): Peer {
  return podsIn('linkerd', { 'linkerd.io/control-plane-component': component })
}

/** Where Prometheus reads a service's metrics, with its proxy's. */
export function scrapePorts(mesh: Mesh): readonly Port[] {
  switch (mesh) {
    case 'istio':
      return tcp(15020)
    case 'linkerd':
      return tcp(ports.admin, 4191)
    case 'none':
      return tcp(ports.admin)
  }
}

/** Prometheus, wherever it runs in the namespace of observability. */
export const prometheus: Peer = podsIn(observabilityNamespace, { 'app.kubernetes.io/name': 'prometheus' })

/** Spans go to the collector. */
export const spans: Egress = { to: [podsIn(tracing.namespace, tracing.selector)], ports: tcp(tracing.grpcPort) }

/** Everything but what is inside: an address of ours is never an external. */
export const internet: readonly Peer[] = [
  {
    ipBlock: {
      cidr: '0.0.0.0/0',
      except: [
        '0.0.0.0/8',
        '10.0.0.0/8',
        '100.64.0.0/10',
        '127.0.0.0/8',
        '169.254.0.0/16',
        '172.16.0.0/12',
        '192.0.0.0/24',
        '192.168.0.0/16',
        '198.18.0.0/15',
        '224.0.0.0/3',
      ],
    },
  },
  // All of IPv6 that is given out, without what leads to addresses of IPv4 by another name.
  { ipBlock: { cidr: '2000::/3', except: ['2001::/32', '2002::/16'] } },
]

/** The data services, each by the pods that answer on its port. */
export function dataEgress(site: Site, of: 'kafka' | 'postgres' | 'rabbitmq'): Egress {
  const { selector, port } = dataNames(site)[of]
  return { to: [pods(selector)], ports: tcp(port) }
}
