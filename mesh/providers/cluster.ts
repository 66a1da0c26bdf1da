/**
 * What a cluster looks like to everything that is rendered for it: names, ports, labels. Providers and the objects of
 * `cdk8s/` use the same functions, so that a policy selects the pods that a workload makes.
 */
import type { EnvironmentName } from '#graph/environment.ts'
import type { Plan, PlannedExternal } from '#plan/plan.ts'

/** The meshes that a cluster may have. */
export const meshes = ['istio', 'linkerd', 'none'] as const
/** One of them; `none` has no sidecars: NetworkPolicies alone hold the edges apart, and nothing of a call's policy is done. */
export type Mesh = (typeof meshes)[number]

/** What is the same for every service of a system on one cluster. */
export type Site = {
  readonly system: string
  readonly namespace: string
  readonly environment: EnvironmentName
  readonly trustDomain: string
  /** The share of traces kept, 0 to 1. */
  readonly traceSampling: number
  readonly mesh: Mesh
  readonly settings: Settings
}

/**
 * What a cluster's owners choose and a declaration does not know: the values of `charts/settings/<environment>.yaml`,
 * which are the Helm chart's values too.
 */
export type Settings = {
  /** The one image of all services whose start is a module. `digest` (`sha256:…`) wins over `tag`; production has one. */
  readonly image: { readonly repository: string; readonly tag: string; readonly digest: string | null }
  /** Secrets of the namespace with which images are pulled. */
  readonly imagePullSecrets: readonly string[]
  /** Host names by exposure; an exposure that is absent answers under its declared host. */
  readonly hosts: Readonly<Record<string, string>>
  /** Replicas by service, over what the declaration says. */
  readonly replicas: Readonly<Record<string, number>>
  /** For volumes of the data services; null takes the cluster's default class. */
  readonly storageClass: string | null
  /** Who signs the certificate at the edge: a ClusterIssuer of cert-manager by name, or null for one of the system's own. */
  readonly clusterIssuer: string | null
  /** Node ports of the edge where no load balancer exists (kind maps them); null asks for a LoadBalancer. */
  readonly nodePorts: { readonly http: number; readonly https: number } | null
  /** Scales consumers by lag with KEDA. Without it they scale by CPU like all others. */
  readonly keda: boolean
  /** Where base backups and the write-ahead log of Postgres go; null makes none. The Secret holds ACCESS_KEY_ID and ACCESS_SECRET_KEY. */
  readonly backup: {
    readonly destination: string
    readonly endpoint: string | null
    readonly secret: string
    readonly retention: string
    readonly schedule: string
  } | null
  /** Where pods reach the Kubernetes API, so that brokers and databases reach nothing else there; null opens its ports to any address. */
  readonly apiServer: { readonly cidrs: readonly string[]; readonly port: number } | null
  /** The repository that GitOps controllers watch. */
  readonly git: { readonly url: string; readonly revision: string }
}

/** The ports of every workload. `app` is its interface, `admin` answers `/livez`, `/readyz` and `/metrics`, `web` is a stand-in's page. */
export const ports = { app: 8080, admin: 9464, web: 8025 } as const

/** Where Jaeger, Prometheus and Grafana live. */
export const observabilityNamespace = 'observability'

/**
 * The headers of strangers that the edge drops before it looks at them: who continues a trace decides whether it is kept, so
 * where a share is kept each trace begins at the edge. Where all are kept, a trace may begin outside.
 */
export function foreignTraceHeaders({ traceSampling }: Pick<Site, 'traceSampling'>): readonly string[] {
  return traceSampling < 1 ? ['traceparent', 'tracestate', 'x-client-trace-id'] : []
}

/** Where spans go: OTLP over gRPC. */
export const tracing = {
  service: 'jaeger-collector',
  namespace: observabilityNamespace,
  host: `jaeger-collector.${observabilityNamespace}.svc.cluster.local`,
  grpcPort: 4317,
  /** The labels that its operator gives its pods. */
  selector: {
    'app.kubernetes.io/component': 'opentelemetry-collector',
    'app.kubernetes.io/instance': `${observabilityNamespace}.jaeger`,
    'app.kubernetes.io/managed-by': 'opentelemetry-operator',
  },
} as const

/** The site of a plan. */
export function siteOf(plan: Plan, mesh: Mesh, settings: Settings): Site {
  const { system, namespace, environment, trustDomain, traceSampling } = plan
  return { system, namespace, environment, trustDomain, traceSampling, mesh, settings }
}

/** The full host name of a service of the namespace. */
export function hostOf({ namespace }: Pick<Site, 'namespace'>, service: string): string {
  return `${service}.${namespace}.svc.cluster.local`
}

/** What selects a service's pods, in every selector. They never change. */
export function selectorOf(service: string): { readonly app: string } {
  return { app: service }
}

/** The labels of everything that is rendered: `component` says which part of the system it is. */
export function labelsOf(
  { system }: Pick<Site, 'system'>,
  name: string,
  component: string,
): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': name,
    'app.kubernetes.io/instance': fitted(`${system}-${name}`),
    'app.kubernetes.io/component': component,
    'app.kubernetes.io/part-of': system,
    'app.kubernetes.io/managed-by': 'parley',
  }
}

/** The data services of a system, each with the Services that clients use. They are outside of the mesh. */
export function dataNames({ system, namespace }: Pick<Site, 'system' | 'namespace'>) {
  const kafka = `${system}-kafka`
  const postgres = `${system}-postgres`
  const rabbitmq = `${system}-rabbitmq`
  return {
    kafka: {
      cluster: kafka,
      /** Strimzi's own names. Clients find brokers at the first, then talk to each of the second, a headless Service. */
      bootstrap: `${kafka}-kafka-bootstrap`,
      brokers: `${kafka}-kafka-brokers`,
      port: 9093,
      /** The Secret with the authority's `ca.crt`. */
      authoritySecret: `${kafka}-cluster-ca-cert`,
      /** The Secret of a service's KafkaUser: `user.crt`, `user.key`. */
      userSecret: (service: string) => service,
      selector: { 'strimzi.io/cluster': kafka, 'strimzi.io/name': `${kafka}-kafka` },
    },
    postgres: {
      cluster: postgres,
      primary: `${postgres}-rw`,
      port: 5432,
      /** The Secret with the authority's `ca.crt`. */
      authoritySecret: `${postgres}-ca`,
      /** The Secret of a service's DatabaseRole, which is named like the service: `tls.crt`, `tls.key`. There are no passwords. */
      userSecret: (service: string) => `${service}-client-cert`,
      selector: { 'cnpg.io/cluster': postgres },
    },
    rabbitmq: {
      cluster: rabbitmq,
      service: rabbitmq,
      port: 5671,
      /** The server's certificate, made by cert-manager; clients mount its `ca.crt` alone. */
      authoritySecret: `${rabbitmq}-tls`,
      /** The Secret of a service's User, which is named like the service: `username` (made by the operator), `password`. */
      userSecret: (service: string) => `${service}-user-credentials`,
      selector: { 'app.kubernetes.io/name': rabbitmq },
    },
    host: (service: string) => `${service}.${namespace}.svc.cluster.local`,
  } as const
}

/** Where a system's stand-ins for externals run: a namespace of its own without a mesh, as the outside has none. */
export function outsideNamespace({ system }: Pick<Site, 'system'>): string {
  return fitted(`${system}-outside`)
}

/**
 * The edge of a system: its Gateway, which is named like the system, and who the gateway's pods are. Istio runs them in the
 * system's namespace; Envoy Gateway, which serves Linkerd and no mesh, in its own.
 */
export function edgeOf({ system, namespace, mesh }: Pick<Site, 'system' | 'namespace' | 'mesh'>) {
  if (mesh === 'istio') {
    return {
      gateway: system,
      className: 'istio',
      namespace,
      /** The ServiceAccount of the gateway's pods. */
      account: fitted(`${system}-istio`),
      podLabels: { 'gateway.networking.k8s.io/gateway-name': system },
    } as const
  }
  return {
    gateway: system,
    className: 'eg',
    namespace: 'envoy-gateway-system',
    account: fitted(`${system}-edge`),
    podLabels: {
      'gateway.envoyproxy.io/owning-gateway-name': system,
      'gateway.envoyproxy.io/owning-gateway-namespace': namespace,
    },
  } as const
}

/** A text that fits where at most 63 characters do, such as a label's value: a longer one is cut, and told apart by a hash. */
export function fitted(text: string, charactersMax = 63): string {
  if (text.length <= charactersMax) return text
  // FNV-1a: names are told apart, nothing is secured.
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0
  const suffix = hash.toString(16).padStart(8, '0')
  return `${text.slice(0, charactersMax - suffix.length - 1).replace(/-+$/, '')}-${suffix}`
}

/** Whether an external is played by its stand-in on this site. Production has the real one. */
export function standsIn({ environment }: Pick<Site, 'environment'>, external: PlannedExternal): boolean {
  return environment !== 'production' && external.standIn !== null
}

/**
 * Where a service's application reaches an external. `host` and `port` are what it connects to; `tls` says that it opens
 * TLS itself, because no sidecar does. Only Istio's sidecars open TLS towards the outside.
 */
export function reachOf(
  site: Pick<Site, 'system' | 'environment' | 'mesh'>,
  external: PlannedExternal,
): { readonly host: string; readonly port: number; readonly tls: boolean } {
  if (standsIn(site, external)) {
    return {
      host: `${external.name}.${outsideNamespace(site)}.svc.cluster.local`,
      port: externalPort(external),
      tls: false,
    }
  }
  const opened = site.mesh === 'istio' && external.tls && external.protocol === 'http'
  return { host: external.host, port: opened ? externalPort(external) : external.port, tls: external.tls && !opened }
}

/** Where subscribers of webhooks are told, and nowhere else: over TLS that the application opens. */
export const webhookPort = 443

/** The plain port of an external inside the mesh: HTTP on 80, where the sidecar opens TLS; its own port otherwise. */
export function externalPort({ protocol, tls, port }: PlannedExternal): number {
  return protocol === 'http' && tls ? 80 : port
}
