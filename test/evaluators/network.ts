/** Which connections NetworkPolicies leave open, from the rules of the Kubernetes API: both ends must allow one. */
import { BlockList, isIPv6 } from 'node:net'
import type { Manifest } from '#providers/manifest.ts'
import { type Labels, type Loose, ofKind, only, selects } from './objects.ts'

/** One end of a connection: a pod, or an address outside of the cluster. */
export type End =
  | { readonly kind: 'pod'; readonly namespace: string; readonly labels: Labels; readonly address: string }
  | { readonly kind: 'outside'; readonly address: string }

/** Whether a TCP or UDP connection to this port of the target may be opened. */
export function networkAllows(
  objects: readonly Manifest[],
  from: End,
  to: End,
  port: number,
  protocol: 'TCP' | 'UDP' = 'TCP',
): boolean {
  const policies = ofKind(objects, 'networking.k8s.io', 'NetworkPolicy')
  const namespaces = namespaceLabels(objects)
  const connection = { port, protocol, namespaces }
  return (
    open(policies, from, 'Egress', (rule) => ruleAllows(rule.to, rule.ports, to, ownNamespace(from), connection)) &&
    open(policies, to, 'Ingress', (rule) => ruleAllows(rule.from, rule.ports, from, ownNamespace(to), connection))
  )
}

type Connection = {
  readonly port: number
  readonly protocol: 'TCP' | 'UDP'
  readonly namespaces: (name: string) => Labels
}

/** An end that no policy of the direction selects is open; one that is selected needs one rule of any policy. */
function open(
  policies: readonly Loose[],
  end: End,
  direction: 'Ingress' | 'Egress',
  allows: (rule: Loose) => boolean,
): boolean {
  if (end.kind === 'outside') return true
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === end.namespace &&
      selects(spec.podSelector ?? {}, end.labels) &&
      directionsOf(spec).includes(direction),
  )
  if (selecting.length === 0) return true
  const rules = selecting.flatMap(({ spec }) => spec[direction.toLowerCase()] ?? [])
  return rules.some(allows)
}

/** Without policyTypes a policy is one of ingress, and of egress where it has such rules. */
function directionsOf(spec: Loose): readonly string[] {
  only(spec, 'A NetworkPolicy', 'podSelector', 'policyTypes', 'ingress', 'egress')
  return spec.policyTypes ?? (spec.egress ? ['Ingress', 'Egress'] : ['Ingress'])
}

/** A rule without peers takes all ends, one without ports all ports. */
function ruleAllows(
  peers: readonly Loose[] | undefined,
  ports: readonly Loose[] | undefined,
  end: End,
  own: string,
  connection: Connection,
): boolean {
  const atPort = !ports?.length || ports.some((allowed) => portAllows(allowed, connection))
  return atPort && (!peers?.length || peers.some((peer) => peerIs(peer, end, own, connection)))
}

function portAllows(allowed: Loose, { port, protocol }: Connection): boolean {
  only(allowed, 'A port', 'protocol', 'port', 'endPort')
  if ((allowed.protocol ?? 'TCP') !== protocol) return false
  if (allowed.port === undefined) return true
  if (typeof allowed.port !== 'number') throw new Error(`The named port ${allowed.port} is not understood`)
  return port >= allowed.port && port <= (allowed.endPort ?? allowed.port)
}

function peerIs(peer: Loose, end: End, own: string, { namespaces }: Connection): boolean {
  only(peer, 'A peer', 'podSelector', 'namespaceSelector', 'ipBlock')
  if (peer.ipBlock) return blockHolds(peer.ipBlock, end.address)
  if (end.kind === 'outside') return false
  const inNamespace = peer.namespaceSelector
    ? selects(peer.namespaceSelector, namespaces(end.namespace))
    : end.namespace === own
  return inNamespace && selects(peer.podSelector ?? {}, end.labels)
}

function blockHolds({ cidr, except = [] }: Loose, address: string): boolean {
  const holds = (block: string): boolean => {
    const [net = '', bits = '0'] = block.split('/')
    if (isIPv6(net) !== isIPv6(address)) return false
    const family = isIPv6(net) ? 'ipv6' : 'ipv4'
    const list = new BlockList()
    list.addSubnet(net, Number(bits), family)
    return list.check(address, family)
  }
  return holds(cidr) && !except.some(holds)
}

function ownNamespace(end: End): string {
  return end.kind === 'pod' ? end.namespace : ''
}

/** Every namespace has a label with its name; those that are rendered may have more. */
function namespaceLabels(objects: readonly Manifest[]): (name: string) => Labels {
  const rendered = ofKind(objects, 'v1', 'Namespace')
  return (name) => ({
    ...rendered.find(({ metadata }) => metadata.name === name)?.metadata.labels,
    'kubernetes.io/metadata.name': name,
  })
}
