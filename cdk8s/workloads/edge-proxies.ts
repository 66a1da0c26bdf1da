import type { Plan } from '#plan/plan.ts'
import { edgeOf, foreignTraceHeaders, labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { receiveMsMax } from '#providers/receiving.ts'
import { toYaml } from '../yaml.ts'
import { durationOf } from './duration.ts'

/** How the Gateway's proxies run: hardened like every pod, several of them in production, at the node ports that kind maps. */
export function edgeProxies(site: Site, plan: Plan): readonly Manifest[] {
  return site.mesh === 'istio' ? [istioParameters(site)] : [envoyProxy(site), strangers(site, plan)]
}

const production = ({ environment }: Site) => environment === 'production'
const cpu = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } }
const replicas = { minReplicas: 2, maxReplicas: 8 } as const

/** Istio lays these pieces over the objects that it makes for a Gateway. */
function istioParameters(site: Site): Manifest {
  const { gateway, podLabels } = edgeOf(site)
  const pod = {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    ...(production(site) ? { topologySpreadConstraints: spread(podLabels) } : {}),
  }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'edge.proxies', namespace: site.namespace, labels: labelsOf(site, gateway, 'edge') },
    data: {
      deployment: text({ spec: { template: { spec: pod } } }),
      service: text({ spec: serviceOf(site) }),
      ...(production(site)
        ? {
            horizontalPodAutoscaler: text({ spec: { ...replicas, metrics: [cpu] } }),
            podDisruptionBudget: text({ spec: { maxUnavailable: 1 } }),
          }
        : {}),
    },
  }
}

function text(piece: object): string {
  // The writer of manifests writes any plain data; a piece is one document, whose marker is left out.
  return toYaml([piece as Manifest]).replace(/^---\n/, '')
}

function serviceOf({ settings: { nodePorts } }: Site) {
  // A node that passes a connection on would hide who opened it.
  if (nodePorts === null) return { type: 'LoadBalancer', externalTrafficPolicy: 'Local' }
  return {
    type: 'NodePort',
    ports: [
      { port: 80, nodePort: nodePorts.http },
      { port: 443, nodePort: nodePorts.https },
    ],
  }
}

function envoyProxy(site: Site): Manifest {
  const { gateway, account, podLabels } = edgeOf(site)
  const { type, ports } = serviceOf(site)
  return {
    apiVersion: 'gateway.envoyproxy.io/v1alpha1',
    kind: 'EnvoyProxy',
    metadata: { name: 'edge.proxies', namespace: site.namespace, labels: labelsOf(site, gateway, 'edge') },
    spec: {
      provider: {
        type: 'Kubernetes',
        kubernetes: {
          envoyServiceAccount: { name: account },
          envoyDeployment: {
            pod: {
              ...(site.mesh === 'linkerd' ? { annotations: meshed } : {}),
              securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
              ...(production(site) ? { topologySpreadConstraints: spread(podLabels) } : {}),
            },
            container: {
              resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
            },
          },
          envoyService: { type, ...(ports ? { patch: { type: 'StrategicMerge', value: { spec: { ports } } } } : {}) },
          ...(production(site) ? { envoyHpa: { ...replicas, metrics: [cpu] }, envoyPDB: { maxUnavailable: 1 } } : {}),
        },
      },
      // Linkerd's proxy beside it chooses the pod, by the Service that it sees called; alone, Envoy chooses it.
      routingType: site.mesh === 'linkerd' ? 'Service' : 'Endpoint',
    },
  }
}

/** Calls into the mesh go through Linkerd's proxy; what comes from outside goes straight to Envoy, with the caller's own address. */
const meshed = {
  'linkerd.io/inject': 'enabled',
  'config.linkerd.io/proxy-enable-native-sidecar': 'true',
  'config.linkerd.io/skip-inbound-ports': '10080,10443',
} as const

/** How Envoy Gateway treats strangers, as the other meshes' edges do. */
function strangers(site: Site, { exposures }: Plan): Manifest {
  const { gateway } = edgeOf(site)
  const remove = foreignTraceHeaders(site)
  return {
    apiVersion: 'gateway.envoyproxy.io/v1alpha1',
    kind: 'ClientTrafficPolicy',
    metadata: { name: 'edge.strangers', namespace: site.namespace, labels: labelsOf(site, gateway, 'edge') },
    spec: {
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: gateway }],
      path: { escapedSlashesAction: 'RejectRequest' },
      headers: {
        withUnderscoresAction: 'RejectRequest',
        ...(remove.length > 0 ? { earlyRequestHeaders: { remove } } : {}),
      },
      http2: { maxConcurrentStreams: 100 },
      timeout: { http: { requestReceivedTimeout: durationOf(receiveMsMax(exposures)), idleTimeout: '60s' } },
    },
  }
}

function spread(matchLabels: Readonly<Record<string, string>>) {
  return [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels },
    },
  ]
}
