import type { Plan } from '#plan/plan.ts'
import { type ServiceSlice, usesQueues, usesTopics } from '#plan/slices.ts'
import { edgeOf, ports, type Site, selectorOf, standsIn, webhookPort } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart, SystemPart } from '../component.ts'
import { pagedExternals } from '../workloads/pages.ts'
import {
  callPorts,
  controlPlane,
  dataEgress,
  dns,
  type Egress,
  edgePeer,
  type Ingress,
  internet,
  networkPolicy,
  pods,
  prometheus,
  scrapePorts,
  spans,
  standInPeer,
  tcp,
} from './peers.ts'

/**
 * A service's edges, and nothing else. The kubelet's probes come from the node, which network plugins let through.
 */
export const serviceNetwork: ServicePart = {
  wave: 'policies',
  render: (site, slice) => {
    const { name } = slice.service
    const of = { name, namespace: site.namespace, component: 'service', pods: { matchLabels: selectorOf(name) } }
    return [networkPolicy(site, of, { ingress: callers(site, slice), egress: callees(site, slice) })]
  },
}

/** What holds for the whole namespace: nothing is open by itself, and what every service needs of the cluster is. */
export const systemNetwork: SystemPart = {
  wave: 'policies',
  name: 'system.network',
  render: (site, plan) => [
    defaultDeny(site, site.namespace),
    services(site),
    ...(site.mesh === 'istio' && plan.exposures.length > 0 ? [gateway(site, plan)] : []),
  ],
}

/** Closes a namespace in both directions. A dot in the name, which no service's has, keeps it from being another's. */
export function defaultDeny(site: Site, namespace: string): Manifest {
  const of = { name: 'default.deny', namespace, component: 'network', pods: {} }
  return networkPolicy(site, of, { ingress: [], egress: [] })
}

function callers(site: Site, { calledBy, exposures }: ServiceSlice): readonly Ingress[] {
  const from = [
    ...calledBy.map((link) => pods(selectorOf(link.from))),
    ...(exposures.length > 0 ? [edgePeer(site)] : []),
  ]
  return from.length > 0 ? [{ from, ports: callPorts(site.mesh) }] : []
}

function callees(site: Site, slice: ServiceSlice): readonly Egress[] {
  const { calls, egress, stores, webhooks } = slice
  return [
    ...(calls.length > 0 ? [{ to: calls.map(({ to }) => pods(selectorOf(to))), ports: callPorts(site.mesh) }] : []),
    ...(usesTopics(slice) ? [dataEgress(site, 'kafka')] : []),
    ...(stores.length > 0 ? [dataEgress(site, 'postgres')] : []),
    ...(usesQueues(slice) ? [dataEgress(site, 'rabbitmq')] : []),
    ...egress.map(
      ({ external }): Egress =>
        standsIn(site, external)
          ? { to: [standInPeer(site, external.name)], ports: tcp(ports.app) }
          : { to: internet, ports: tcp(external.port) },
    ),
    // Subscribers are anywhere outside, but behind TLS.
    ...(webhooks.length > 0 ? [{ to: internet, ports: tcp(webhookPort) }] : []),
  ]
}

function services(site: Site): Manifest {
  const of = {
    name: 'services.common',
    namespace: site.namespace,
    component: 'network',
    pods: { matchLabels: { 'app.kubernetes.io/component': 'service', 'app.kubernetes.io/part-of': site.system } },
  }
  return networkPolicy(site, of, {
    ingress: [{ from: [prometheus], ports: scrapePorts(site.mesh) }],
    egress: [dns, ...controlPlane(site.mesh), spans],
  })
}

/** Istio's gateway stands in the system's namespace: open to everybody, and itself only to what is exposed. */
function gateway(site: Site, plan: Plan): Manifest {
  const { podLabels } = edgeOf(site)
  const exposed = [...new Set(plan.exposures.map(({ service }) => service))].sort()
  const shown = pagedExternals(site, plan).map(({ name }) => standInPeer(site, name))
  const of = {
    name: 'edge.gateway',
    namespace: site.namespace,
    component: 'edge',
    pods: { matchLabels: podLabels },
  }
  return networkPolicy(site, of, {
    ingress: [
      // 15021 is the health that load balancers ask for.
      { ports: tcp(80, 443, 15021) },
      { from: [prometheus], ports: scrapePorts(site.mesh) },
    ],
    egress: [
      { to: exposed.map((name) => pods(selectorOf(name))), ports: callPorts(site.mesh) },
      ...(shown.length > 0 ? [{ to: shown, ports: tcp(ports.web) }] : []),
      dns,
      ...controlPlane(site.mesh),
      spans,
    ],
  })
}
