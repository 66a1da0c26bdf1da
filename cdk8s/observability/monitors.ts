import type { Plan } from '#plan/plan.ts'
import { dataNames, edgeOf, labelsOf, ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'

/** What Prometheus reads: every service with its sidecar, the proxies at the edge, and the data services that the plan needs. */
export const monitors: SystemPart = {
  wave: 'observability',
  name: 'system.monitors',
  render: (site, plan) => [
    services(site),
    ...(plan.exposures.length > 0 ? [edge(site)] : []),
    ...dataServices(site, plan),
  ],
}

/** Rewrites labels of what is read before it is read. */
type Relabeling = Readonly<Record<string, string | readonly string[]>>

const interval = '15s'

/** `service` is a label of each series, as in a local run. */
const asService: readonly Relabeling[] = [
  { action: 'replace', sourceLabels: ['__meta_kubernetes_pod_label_app'], targetLabel: 'service' },
  { action: 'replace', sourceLabels: ['__meta_kubernetes_pod_label_version'], targetLabel: 'version' },
]

function services(site: Site): Manifest {
  const selector = { 'app.kubernetes.io/component': 'service', 'app.kubernetes.io/part-of': site.system }
  return podMonitor(site, 'services', selector, serviceEndpoints(site))
}

function serviceEndpoints({ mesh }: Site): readonly object[] {
  const at = (portNumber: number) => ({ portNumber, path: '/metrics', interval, relabelings: asService })
  switch (mesh) {
    case 'istio':
      return [{ path: '/stats/prometheus', interval, relabelings: [...istioAgent, ...asService] }]
    case 'linkerd':
      return [at(ports.admin), at(4191)]
    case 'none':
      return [at(ports.admin)]
  }
}

/**
 * Istio's agent answers with the application's metrics and the sidecar's own at a port that its container does not
 * declare: the target is found by the container, and its port put in its place. The second form is for IPv6.
 */
const istioAgent: readonly Relabeling[] = [
  { action: 'keep', sourceLabels: ['__meta_kubernetes_pod_container_name'], regex: 'istio-proxy' },
  agentAddress('([0-9.]+)', '$1:15020'),
  agentAddress('([0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)', '[$1]:15020'),
]

function agentAddress(regex: string, replacement: string): Relabeling {
  return {
    ...{ action: 'replace', sourceLabels: ['__meta_kubernetes_pod_ip'], regex },
    ...{ replacement, targetLabel: '__address__' },
  }
}

/** Both name the port so; Envoy Gateway's proxies are in its own namespace. */
function edge(site: Site): Manifest {
  const { namespace, podLabels } = edgeOf(site)
  const endpoints = [{ port: 'metrics', path: '/stats/prometheus', interval }]
  const monitor = podMonitor(site, 'edge', podLabels, endpoints)
  if (namespace === site.namespace) return monitor
  return { ...monitor, spec: { ...(monitor.spec as object), namespaceSelector: { matchNames: [namespace] } } }
}

function dataServices(site: Site, { topics, stores, queues }: Plan): readonly Manifest[] {
  const { kafka, postgres, rabbitmq } = dataNames(site)
  const queueFamily = { params: { family: ['queue_coarse_metrics'] } }
  return [
    ...(topics.length > 0
      ? [
          podMonitor(site, 'kafka', { 'strimzi.io/cluster': kafka.cluster, 'strimzi.io/kind': 'Kafka' }, [
            { port: 'tcp-prometheus', path: '/metrics', interval },
          ]),
        ]
      : []),
    ...(stores.length > 0 ? [podMonitor(site, 'postgres', postgres.selector, [{ port: 'metrics', interval }])] : []),
    ...(queues.length > 0
      ? [
          podMonitor(site, 'rabbitmq', rabbitmq.selector, [
            { port: 'prometheus', path: '/metrics', interval },
            // The only page that tells queues apart: depth and unacknowledged of each.
            { port: 'prometheus', path: '/metrics/detailed', interval, ...queueFamily },
          ]),
        ]
      : []),
  ]
}

function podMonitor(
  site: Site,
  of: string,
  matchLabels: Readonly<Record<string, string>>,
  podMetricsEndpoints: readonly object[],
): Manifest {
  const name = `${site.system}-${of}`
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: { name, namespace: site.namespace, labels: labelsOf(site, name, 'monitor') },
    spec: { selector: { matchLabels }, podMetricsEndpoints },
  }
}
