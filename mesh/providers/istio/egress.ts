import type { Fault } from '#plan/fault.ts'
import type { Egress, MethodRef, Plan, PlannedExternal } from '#plan/plan.ts'
import { type ServiceSlice, usesQueues, usesTopics } from '#plan/slices.ts'
import {
  dataNames,
  externalPort,
  hostOf,
  outsideNamespace,
  reachOf,
  type Site,
  standsIn,
  tracing,
  webhookPort,
} from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { outlierDetection } from './breaker.ts'
import { applicationLimits, connections } from './limits.ts'
import { publicTls } from './mtls.ts'
import { istioObject, nameOf, type Spec } from './objects.ts'
import { retryBudget } from './retries.ts'
import { destination, methodRules } from './routes.ts'

/**
 * What a service's sidecar knows: whom it declared to call and to reach, its data services, where spans go. Nothing else.
 * And how much of what comes in it passes to the application at once.
 */
export function sidecar(site: Site, slice: ServiceSlice): Manifest {
  const { name, protocol } = slice.service
  const inbound = protocol ? { inboundConnectionPool: applicationLimits(protocol) } : {}
  const { kafka, ...plain } = usesOf(slice)
  const hosts = [
    ...slice.calls.map(({ to }) => `./${hostOf(site, to)}`),
    ...slice.egress.map(({ external }) => scopeOf(site, external)),
    ...(slice.webhooks.length > 0 ? [`./${subscribersHost(name)}`] : []),
    ...servicesOf(site, { kafka, postgres: false, rabbitmq: false }).map((service) => `./${hostOf(site, service)}`),
  ].sort()
  const egress = [...tcpListeners(site, plain), ...(hosts.length > 0 ? [{ hosts }] : [])]
  return istioObject(site, 'Sidecar', {
    name,
    owner: name,
    spec: { workloadSelector: { labels: { app: name } }, ...inbound, outboundTrafficPolicy, egress },
  })
}

/**
 * What is passed on without being looked at, whatever its Service calls the port: the data services speak TLS of their
 * own, and spans of spans would have no end. Kafka is not here: an explicit port knows no single brokers.
 */
function tcpListeners(site: Site, uses: Readonly<Record<'postgres' | 'rabbitmq', boolean>>): readonly Spec[] {
  const { postgres, rabbitmq } = dataNames(site)
  const listener = (number: number, name: string, host: string) => ({
    port: { number, name: `tcp-${name}`, protocol: 'TCP' },
    hosts: [host],
  })
  return [
    listener(tracing.grpcPort, 'otlp', `${tracing.namespace}/${tracing.host}`),
    ...(uses.postgres ? [listener(postgres.port, 'postgres', `./${hostOf(site, postgres.primary)}`)] : []),
    ...(uses.rabbitmq ? [listener(rabbitmq.port, 'amqps', `./${hostOf(site, rabbitmq.service)}`)] : []),
  ]
}

/**
 * Subscribers of webhooks are at addresses that nobody knows beforehand, so a service that delivers them has a way to whatever it
 * asks for at port 443, by TCP: the connection goes where the application opened it, in TLS of its own. No other
 * sidecar knows this host. That the way leads nowhere inside is the NetworkPolicy's to hold, and the application's.
 */
export function subscribersEntry(site: Site, { service: { name }, webhooks }: ServiceSlice): readonly Manifest[] {
  if (webhooks.length === 0) return []
  const spec = {
    hosts: [subscribersHost(name)],
    exportTo: ['.'],
    location: 'MESH_EXTERNAL',
    // Where it leads is decided by the connection. Without addresses the port alone is matched.
    resolution: 'NONE',
    ports: [{ number: webhookPort, name: 'tcp', protocol: 'TCP' }],
  }
  return [istioObject(site, 'ServiceEntry', { name: nameOf(name, 'subscribers'), owner: name, spec })]
}

/** A name that stands for them in the registry, and that no name server ever answers (RFC 2606). */
function subscribersHost(service: string): string {
  return `${service}.subscribers.invalid`
}

/** What a pod of the namespace reaches that is no service of the system: nothing. */
export function sidecarOfOthers(site: Site): Manifest {
  const spec = { outboundTrafficPolicy, egress: [{ hosts: ['~/*'] }] }
  return istioObject(site, 'Sidecar', { name: nameOf('default', 'deny'), owner: site.system, spec })
}

/** An external as a host of the mesh. One that a Service of the cluster plays over TCP is known already. */
export function externalEntry(site: Site, external: PlannedExternal): readonly Manifest[] {
  const { name, host, protocol, tls, port } = external
  if (isClusterService(site, external)) return []
  const plain = { number: externalPort(external), name: protocol, protocol: protocol.toUpperCase() }
  const played = standsIn(site, external)
  const opened = protocol === 'http' && tls && !played ? { targetPort: port } : {}
  const endpoint = { address: reachOf(site, external).host, ports: { [protocol]: externalPort(external) } }
  const spec = {
    hosts: [host],
    exportTo: ['.'],
    location: 'MESH_EXTERNAL',
    resolution: 'DNS',
    ports: [{ ...plain, ...opened }],
    ...(played ? { endpoints: [endpoint] } : {}),
  }
  return [istioObject(site, 'ServiceEntry', { name: nameOf(name, 'external'), owner: name, spec })]
}

/** The routes of an HTTP external that were declared, by caller, and a refusal of all else; none for TCP. */
export function externalRoutes(
  site: Site,
  external: PlannedExternal,
  callers: readonly Egress[],
  faults: readonly Fault[],
): readonly Manifest[] {
  const { name, host, protocol, routes } = external
  if (protocol !== 'http') return []
  const route = [destination(host, externalPort(external))]
  const rules = callers
    .flatMap(({ from, deadlineMs, retry }) =>
      methodRules({ caller: from, callee: name, protocol, methods: routes, deadlineMs, retry, route }, faults),
    )
    .map((rule) => ({ ...rule, headers: discreet }))
  const spec = { hosts: [host], exportTo: ['.'], http: [...rules, refusal(name, routes)] }
  return [istioObject(site, 'VirtualService', { name: nameOf(name, 'external'), owner: name, spec })]
}

/** What proxies tell each other about a call is nobody's business outside. */
const discreet: Spec = {
  request: { remove: ['x-envoy-attempt-count', 'x-envoy-decorator-operation', 'x-envoy-expected-rq-timeout-ms'] },
}

/** How one caller reaches one external: its breaker, its bounds, and TLS where the mesh opens it. */
export function externalDestination(site: Site, egress: Egress, external: PlannedExternal): Manifest {
  const { from, limits, breaker, retry } = egress
  const { name, protocol, tls } = external
  const opened = protocol === 'http' && tls && !standsIn(site, external)
  return istioObject(site, 'DestinationRule', {
    name: nameOf(from, name, 'external'),
    owner: from,
    spec: {
      host: isClusterService(site, external) ? reachOf(site, external).host : external.host,
      exportTo: ['.'],
      workloadSelector: { matchLabels: { app: from } },
      trafficPolicy: {
        tls: opened ? publicTls(external.host) : { mode: 'DISABLE' },
        connectionPool: connections(limits),
        outlierDetection: outlierDetection(breaker),
        ...(protocol === 'http' ? retryBudget([retry]) : {}),
      },
    },
  })
}

/** The Services of the data services that a system has. */
export function systemDataServices(
  site: Site,
  { topics, queues, stores }: Pick<Plan, 'topics' | 'queues' | 'stores'>,
): readonly string[] {
  return servicesOf(site, { kafka: topics.length > 0, postgres: stores.length > 0, rabbitmq: queues.length > 0 })
}

type Uses = Readonly<Record<'kafka' | 'postgres' | 'rabbitmq', boolean>>

function usesOf(slice: ServiceSlice): Uses {
  return { kafka: usesTopics(slice), postgres: slice.stores.length > 0, rabbitmq: usesQueues(slice) }
}

function servicesOf(site: Site, uses: Uses): readonly string[] {
  const { kafka, postgres, rabbitmq } = dataNames(site)
  return [
    ...(uses.kafka ? [kafka.bootstrap, kafka.brokers] : []),
    ...(uses.postgres ? [postgres.primary] : []),
    ...(uses.rabbitmq ? [rabbitmq.service] : []),
  ]
}

const outboundTrafficPolicy: Spec = { mode: 'REGISTRY_ONLY' }

function scopeOf(site: Site, external: PlannedExternal): string {
  if (isClusterService(site, external)) return `${outsideNamespace(site)}/${reachOf(site, external).host}`
  return `./${external.host}`
}

/**
 * Over TCP nothing but the address says where a connection goes, so a stand-in is reached as the Service that it is. HTTP
 * has the host in every request, which stays the declared one.
 */
function isClusterService(site: Site, external: PlannedExternal): boolean {
  return external.protocol === 'tcp' && standsIn(site, external)
}

function refusal(name: string, routes: readonly MethodRef[]): Spec {
  const declared = routes.map(({ verb, path }) => `${verb} ${path}`).join(', ')
  const text = `No such call to ${name} is declared; declared are ${declared}`
  return { directResponse: { status: 403, body: { string: text.slice(0, 2_000) } } }
}
