/**
 * Where a pod's sidecar sends and how, from the meaning that Istio's documentation gives to Sidecar, ServiceEntry,
 * VirtualService and DestinationRule. It knows nothing of how they were rendered, and throws NotUnderstood for whatever
 * it has no meaning for.
 */
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, NotUnderstood, ofKind, only, type Pod, selects } from './objects.ts'
import { milliseconds, outcomes, statusOf, type Treatment } from './treatment.ts'

/** A host of the registry that no rendered object makes: an operator's Service. */
export type KnownHost = { readonly namespace: string; readonly host: string; readonly ports: readonly number[] }

/** A call as it leaves an application. `grpc` says that outcomes are gRPC's own, not statuses of HTTP. */
export type IstioCall = {
  readonly host: string
  readonly verb: string
  readonly path: string
  readonly grpc: boolean
}

const group = 'networking.istio.io'

/** Every `host:port` that the pod's sidecar has a way to; to all others it refuses. */
export function istioReaches(objects: readonly Manifest[], pod: Pod, known: readonly KnownHost[]): readonly string[] {
  const { outboundTrafficPolicy, egress } = sidecarOf(objects, pod)
  if (outboundTrafficPolicy?.mode !== 'REGISTRY_ONLY') throw new NotUnderstood('A sidecar that sends anywhere')
  const registry = [...known, ...servicesIn(objects), ...entriesFor(objects, pod)]
  const named = egress.flatMap(({ port }: Loose) => (port ? [port.number] : []))
  const open = egress.flatMap(({ hosts, port, ...more }: Loose) => {
    only(more, 'A listener of a Sidecar')
    return registry
      .filter((one) => hosts.some((pattern: string) => imports(pattern, one, pod)))
      .flatMap((one) =>
        // A listener without a port has those that no other is for.
        one.ports
          .filter((number) => (port ? port.number === number : !named.includes(number)))
          .map((number) => `${one.host}:${number}`),
      )
  })
  return [...new Set<string>(open)].sort()
}

/** How the pod's sidecar treats a call; `refused` where it answers in the callee's place. */
export function istioTreats(objects: readonly Manifest[], pod: Pod, call: IstioCall): Treatment | 'refused' {
  const rule = ruleFor(objects, pod, call)
  if (rule?.directResponse) return 'refused'
  if (rule) only(rule, 'A rule', 'name', 'match', 'route', 'timeout', 'retries', 'headers')
  for (const { destination, ...more } of rule?.route ?? []) {
    only(more, 'A way')
    if (destination.host !== call.host) throw new NotUnderstood(`A way from ${call.host} to ${destination.host}`)
  }
  const policy = policyFor(objects, pod, call.host)
  return { timeoutMs: rule?.timeout ? milliseconds(rule.timeout) : null, ...retriesOf(rule, call), ...boundsOf(policy) }
}

/** A Sidecar for the pod alone comes before its namespace's. */
function sidecarOf(objects: readonly Manifest[], pod: Pod): Loose {
  const own = ofKind(objects, group, 'Sidecar').filter(({ metadata }) => metadata.namespace === pod.namespace)
  const selecting = own.filter(
    ({ spec }) =>
      spec.workloadSelector !== undefined && selects({ matchLabels: spec.workloadSelector.labels }, pod.labels),
  )
  const chosen = selecting.length > 0 ? selecting : own.filter(({ spec }) => spec.workloadSelector === undefined)
  if (chosen.length !== 1) throw new NotUnderstood(`${chosen.length} Sidecars for one pod`)
  const [{ spec }] = chosen as [Loose]
  only(spec, 'A Sidecar', 'workloadSelector', 'inboundConnectionPool', 'outboundTrafficPolicy', 'egress')
  return spec
}

/** `namespace/host`: `.` is the pod's own, `*` any, `~` none. */
function imports(pattern: string, { namespace, host }: KnownHost, pod: Pod): boolean {
  const [place = '', name = ''] = pattern.split('/')
  if (place === '~') return false
  const inPlace = place === '*' || (place === '.' ? pod.namespace : place) === namespace
  return inPlace && (name === '*' || name === host || (name.startsWith('*.') && host.endsWith(name.slice(1))))
}

function servicesIn(objects: readonly Manifest[]): readonly KnownHost[] {
  return ofKind(objects, 'v1', 'Service').map(({ metadata: { name, namespace }, spec }) => ({
    namespace,
    host: `${name}.${namespace}.svc.cluster.local`,
    ports: spec.ports.map(({ port }: Loose) => port),
  }))
}

function entriesFor(objects: readonly Manifest[], pod: Pod): readonly KnownHost[] {
  return visible(objects, 'ServiceEntry', pod).flatMap(({ metadata: { namespace }, spec }) =>
    spec.hosts.map((host: string) => ({ namespace, host, ports: spec.ports.map(({ number }: Loose) => number) })),
  )
}

/** What is exported to a pod's namespace; without a word, to all. */
function visible(objects: readonly Manifest[], kind: string, pod: Pod): readonly Loose[] {
  return ofKind(objects, group, kind).filter(({ metadata, spec }) =>
    (spec.exportTo ?? ['*']).some(
      (place: string) => place === '*' || (place === '.' ? metadata.namespace : place) === pod.namespace,
    ),
  )
}

/** The first rule that matches; null where no VirtualService is for the host, or none of its rules is. */
function ruleFor(objects: readonly Manifest[], pod: Pod, call: IstioCall): Loose | null {
  const found = visible(objects, 'VirtualService', pod).filter(({ spec }) => spec.hosts.includes(call.host))
  if (found.length > 1) throw new NotUnderstood(`Several VirtualServices for ${call.host}`)
  const [virtualService] = found
  if (!virtualService) return null
  only(virtualService.spec, 'A VirtualService', 'hosts', 'exportTo', 'http')
  const matches = ({ match }: Loose): boolean => !match || match.some((one: Loose) => matchHolds(one, pod, call))
  const rule = virtualService.spec.http.find(matches)
  // Envoy answers with 404 then.
  return rule ?? { directResponse: { status: 404 } }
}

function matchHolds(match: Loose, pod: Pod, { verb, path }: IstioCall): boolean {
  only(match, 'A match', 'sourceLabels', 'method', 'uri')
  const [plain = ''] = path.split('?')
  return (
    selects({ matchLabels: match.sourceLabels ?? {} }, pod.labels) &&
    (match.method === undefined || textHolds(match.method, verb)) &&
    (match.uri === undefined || textHolds(match.uri, plain))
  )
}

function textHolds(match: Loose, text: string): boolean {
  only(match, 'A match of a text', 'exact', 'prefix', 'regex')
  if (match.exact !== undefined) return match.exact === text
  if (match.prefix !== undefined) return text.startsWith(match.prefix)
  return new RegExp(`^(?:${match.regex})$`).test(text)
}

type Retries = Pick<Treatment, 'attempts' | 'perTryTimeoutMs' | 'on'>

/** Where nothing is said Istio tries twice more, after what looks as if the callee had not been reached, or had gone. */
function retriesOf(rule: Loose | null, call: IstioCall): Retries {
  const retries = rule?.retries ?? { attempts: 2, retryOn: 'connect-failure,refused-stream,unavailable,cancelled' }
  only(retries, 'Retries', 'attempts', 'perTryTimeout', 'retryOn', 'backoff')
  if (retries.attempts === 0) return { attempts: 1, perTryTimeoutMs: null, on: [] }
  const words: readonly string[] = retries.retryOn.split(',')
  return {
    attempts: retries.attempts + 1,
    perTryTimeoutMs: retries.perTryTimeout ? milliseconds(retries.perTryTimeout) : null,
    on: outcomes.filter((outcome) =>
      call.grpc ? words.includes(outcome) : words.some((word) => statusHolds(word, statusOf[outcome])),
    ),
  }
}

function statusHolds(word: string, status: number): boolean {
  if (/^\d+$/.test(word)) return Number(word) === status
  if (word === '5xx') return status >= 500
  if (word === 'gateway-error') return status >= 502 && status <= 504
  return false
}

/** One with a selector that holds comes before one without; hosts are named whole. */
function policyFor(objects: readonly Manifest[], pod: Pod, host: string): Loose {
  const found = visible(objects, 'DestinationRule', pod).filter(({ spec }) => spec.host === host)
  const selecting = found.filter(
    ({ metadata, spec }) =>
      spec.workloadSelector !== undefined &&
      metadata.namespace === pod.namespace &&
      selects(spec.workloadSelector, pod.labels),
  )
  const chosen = selecting.length > 0 ? selecting : found.filter(({ spec }) => spec.workloadSelector === undefined)
  if (chosen.length > 1) throw new NotUnderstood(`Several DestinationRules for ${host}`)
  const [rule] = chosen
  if (rule) only(rule.spec, 'A DestinationRule', 'host', 'exportTo', 'workloadSelector', 'trafficPolicy')
  return rule?.spec.trafficPolicy ?? {}
}

function boundsOf({ outlierDetection, connectionPool, retryBudget }: Loose) {
  const { http2MaxRequests, http1MaxPendingRequests } = connectionPool?.http ?? {}
  return {
    budget: retryBudget ? { percent: retryBudget.percent, concurrentMin: retryBudget.minRetryConcurrency } : null,
    breaker: outlierDetection ? breakerOf(outlierDetection) : null,
    // Over HTTP/1.1 a connection carries one request.
    concurrentMax: http2MaxRequests ?? connectionPool?.tcp?.maxConnections ?? null,
    pendingMax: http1MaxPendingRequests ?? null,
  }
}

/** With Istio's own values for what is not said. */
function breakerOf(detection: Loose): Treatment['breaker'] {
  const { consecutive5xxErrors = 5, interval = '10s', baseEjectionTime = '30s', maxEjectionPercent = 10 } = detection
  only(detection, 'Outlier detection', 'consecutive5xxErrors', 'interval', 'baseEjectionTime', 'maxEjectionPercent')
  // An interval longer than the ejection would hold an endpoint back for longer than is declared.
  if (milliseconds(interval) > milliseconds(baseEjectionTime)) throw new NotUnderstood(`The interval ${interval}`)
  return { failures: consecutive5xxErrors, openMs: milliseconds(baseEjectionTime), ejectable: maxEjectionPercent }
}
