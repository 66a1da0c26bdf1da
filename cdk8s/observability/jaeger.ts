import { labelsOf, observabilityNamespace, type Site, tracing } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { aboutOperatorsPods } from '../data/objects.ts'
import { edgePeer, type Ingress, networkPolicy, podsIn, prometheus, tcp } from '../policies/peers.ts'

/**
 * Jaeger 2 as a collector of OpenTelemetry's operator, which names its Service `jaeger-collector`. On kind it keeps the
 * last traces in memory; in production on a volume, as one pod: who has more than that can hold points the storage at
 * a database (see the guide to production).
 */
export const jaeger: SystemPart = {
  wave: 'observability',
  name: 'system.tracing',
  render: (site) => [collector(site), network(site)],
}

const image = 'jaegertracing/jaeger:2.20.0'
const ports = { http: 4318, page: 16686, metrics: 8888 } as const
const user = 10_001
const folder = '/var/lib/jaeger'

function collector(site: Site): Manifest {
  const lasting = site.environment === 'production'
  return {
    apiVersion: 'opentelemetry.io/v1beta1',
    kind: 'OpenTelemetryCollector',
    metadata: { name: 'jaeger', namespace: observabilityNamespace, labels: labelsOf(site, 'jaeger', 'tracing') },
    spec: {
      mode: lasting ? 'statefulset' : 'deployment',
      image,
      replicas: 1,
      ports: [{ name: 'jaeger-query', port: ports.page, targetPort: ports.page, protocol: 'TCP' }],
      podAnnotations: { 'sidecar.istio.io/inject': 'false', 'linkerd.io/inject': 'disabled' },
      podSecurityContext: {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        fsGroup: user,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      securityContext: {
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      resources: lasting
        ? { requests: { cpu: '200m', memory: '1Gi' }, limits: { memory: '2Gi' } }
        : { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
      volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }],
      volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...(lasting ? [{ name: 'traces', mountPath: folder }] : [])],
      ...(lasting ? { volumeClaimTemplates: [volume(site)] } : {}),
      config: config(lasting),
    },
  }
}

function volume({ settings }: Site) {
  return {
    metadata: { name: 'traces' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '20Gi' } },
      ...(settings.storageClass === null ? {} : { storageClassName: settings.storageClass }),
    },
  }
}

function config(lasting: boolean) {
  const badger = {
    badger: {
      directories: { keys: `${folder}/keys`, values: `${folder}/values` },
      ephemeral: false,
      ttl: { spans: '168h' },
    },
  }
  return {
    extensions: {
      jaeger_storage: { backends: { traces: lasting ? badger : { memory: { max_traces: 20_000 } } } },
      jaeger_query: { storage: { traces: 'traces' } },
    },
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `0.0.0.0:${tracing.grpcPort}` },
          http: { endpoint: `0.0.0.0:${ports.http}` },
        },
      },
    },
    processors: { batch: {} },
    exporters: { jaeger_storage_exporter: { trace_storage: 'traces' } },
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: {
        traces: { receivers: ['otlp'], processors: ['batch'], exporters: ['jaeger_storage_exporter'] },
      },
      telemetry: {
        metrics: { readers: [{ pull: { exporter: { prometheus: { host: '0.0.0.0', port: ports.metrics } } } }] },
      },
    },
  }
}

/** One policy a system, which together say who may send spans. The page is for people: they come by way of the node or of Grafana. */
function network(site: Site): Manifest {
  const people: Ingress =
    site.environment === 'production'
      ? { from: [podsIn(observabilityNamespace)], ports: tcp(ports.page) }
      : { ports: tcp(ports.page) }
  const of = {
    name: `${site.system}-tracing`,
    namespace: observabilityNamespace,
    component: 'tracing',
    pods: { matchLabels: tracing.selector },
  }
  // Istio's gateway is in the system's namespace; the other's is not.
  const senders = [podsIn(site.namespace), ...(site.mesh === 'istio' ? [] : [edgePeer(site)])]
  const ingress = [
    { from: senders, ports: tcp(tracing.grpcPort, ports.http) },
    { from: [prometheus], ports: tcp(ports.metrics) },
    people,
  ]
  return aboutOperatorsPods(networkPolicy(site, of, { ingress, egress: [] }))
}
