/** Which connections NetworkPolicies leave open, from the rules of the Kubernetes API: both ends must allow one. */
import { BlockList, isIPv6 } from 'node:net'
import type { Manifest } from '#providers/manifest.ts'
import { type Labels, type Loose, ofKind, only, selects } from './objects.ts'

/** One end of a connection: a pod, or an address outside of the cluster. */
export type End =
  | { readonly kind: 'pod'; readonly namespace: string; readonly labels: Labels; readonly address: string }
  | { readonly kind: 'outside'; readonly address: string }

/** Ranges of ports, first and last. */
export type Ports = readonly (readonly [first: number, last: number])[]

/** What a transport protocol is asked about; SCTP is not. */
export type Protocol = 'TCP' | 'UDP'

const allPorts: Ports = [[1, 65_535]]

/** The ports of the target at which a connection may be opened: every port there is, not only those that somebody thinks of. */
export function openPorts(objects: readonly Manifest[], from: End, to: End, protocol: Protocol = 'TCP'): Ports {
  const out = sideOpens(objects, 'Egress', from, to, protocol)
  return out.length === 0 ? [] : both(out, sideOpens(objects, 'Ingress', to, from, protocol))
}

/**
 * What one end alone allows, whatever the other does: for `Egress` the ports of `other` that `end` may open, for `Ingress`
 * the ports of `end` that `other` may. An end that no policy of the direction selects is open; one that is selected needs
 * one rule of any policy.
 */
export function sideOpens(
  objects: readonly Manifest[],
  direction: 'Ingress' | 'Egress',
  end: End,
  other: End,
  protocol: Protocol = 'TCP',
): Ports {
  if (end.kind === 'outside') return allPorts
  const rules = rulesFor(objects, direction, end)
  if (rules === null) return allPorts
  const namespaces = namespaceLabels(objects)
  return merged(
    rules
      .filter(({ peers }) => !peers?.length || peers.some((peer) => peerIs(peer, other, end.namespace, namespaces)))
      .flatMap(({ ports }) => (protocol === 'TCP' ? ports.tcp : ports.udp)),
  )
}

/** The ports that are in both. */
function both(one: Ports, other: Ports): Ports {
  return merged(
    one.flatMap(([first, last]) =>
      other
        .map(([start, end]) => [Math.max(first, start), Math.min(last, end)] as const)
        .filter(([start, end]) => start <= end),
    ),
  )
}

/** Ranges in their order, without those that others hold already. */
function merged(ports: Ports): Ports {
  const sorted = [...ports].sort(([a, b], [c, d]) => a - c || d - b)
  let reached = 0
  return sorted.filter(([, last]) => {
    const isNew = last > reached
    reached = Math.max(reached, last)
    return isNew
  })
}

type Rule = {
  readonly peers: readonly Loose[] | undefined
  readonly ports: { readonly tcp: Ports; readonly udp: Ports }
}
type Read = {
  readonly policies: readonly Loose[]
  readonly rules: Map<End, Readonly<Record<'Ingress' | 'Egress', readonly Rule[] | null>>>
  readonly namespaces: Map<string, Labels>
}

/** What was read of objects: every two ends ask for the same. */
const known = new WeakMap<readonly Manifest[], Read>()

function read(objects: readonly Manifest[]): Read {
  const there = known.get(objects)
  if (there) return there
  const policies = ofKind(objects, 'networking.k8s.io', 'NetworkPolicy')
  const fresh: Read = { policies, rules: new Map(), namespaces: new Map() }
  known.set(objects, fresh)
  return fresh
}

/** All rules that hold for a pod in a direction; null where no policy of the direction selects it. */
function rulesFor(
  objects: readonly Manifest[],
  direction: 'Ingress' | 'Egress',
  end: Extract<End, { kind: 'pod' }>,
): readonly Rule[] | null {
  const { policies, rules } = read(objects)
  const there = rules.get(end)
  if (there) return there[direction]
  const selecting = policies.filter((policy) => policySelects(policy, end))
  const of = (one: 'Ingress' | 'Egress'): readonly Rule[] | null => {
    const found = selecting.filter(({ spec }) => directionsOf(spec).includes(one))
    return found.length === 0 ? null : found.flatMap(({ spec }) => (spec[one.toLowerCase()] ?? []).map(ruleOf))
  }
  const both = { Ingress: of('Ingress'), Egress: of('Egress') }
  rules.set(end, both)
  return both[direction]
}

/** Whether a NetworkPolicy is one of this pod. */
export function policySelects({ metadata, spec }: Loose, end: End): boolean {
  return end.kind === 'pod' && metadata.namespace === end.namespace && selects(spec.podSelector ?? {}, end.labels)
}

/** Without policyTypes a policy is one of ingress, and of egress where it has such rules. */
function directionsOf(spec: Loose): readonly string[] {
  only(spec, 'A NetworkPolicy', 'podSelector', 'policyTypes', 'ingress', 'egress')
  return spec.policyTypes ?? (spec.egress ? ['Ingress', 'Egress'] : ['Ingress'])
}

/** A rule without peers takes all ends, one without ports all ports. */
function ruleOf(rule: Loose): Rule {
  only(rule, 'A rule', 'from', 'to', 'ports')
  const listed: readonly Loose[] = rule.ports ?? []
  const of = (protocol: Protocol): Ports =>
    listed.length === 0 ? allPorts : listed.filter((port) => (port.protocol ?? 'TCP') === protocol).map(rangeOf)
  return { peers: rule.from ?? rule.to, ports: { tcp: of('TCP'), udp: of('UDP') } }
}

function rangeOf(allowed: Loose): readonly [number, number] {
  only(allowed, 'A port', 'protocol', 'port', 'endPort')
  if (allowed.port === undefined) return [1, 65_535]
  if (typeof allowed.port !== 'number') throw new Error(`The named port ${allowed.port} is not understood`)
  return [allowed.port, allowed.endPort ?? allowed.port]
}

function peerIs(peer: Loose, end: End, own: string, namespaces: (name: string) => Labels): boolean {
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

/** Every namespace has a label with its name; those that are rendered may have more. */
function namespaceLabels(objects: readonly Manifest[]): (name: string) => Labels {
  const { namespaces } = read(objects)
  return (name) => {
    const there = namespaces.get(name)
    if (there) return there
    const rendered = ofKind(objects, 'v1', 'Namespace').find(({ metadata }) => metadata.name === name)
    const labels = { ...rendered?.metadata.labels, 'kubernetes.io/metadata.name': name }
    namespaces.set(name, labels)
    return labels
  }
}
