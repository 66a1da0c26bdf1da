/**
 * How a pod's proxy treats what goes out, from the meaning that Linkerd's documentation gives to routes of a Service or of
 * an EgressNetwork, and to the annotations of both. It throws NotUnderstood for whatever it has no meaning for.
 */
import type { RetryOn } from '#graph/policy.ts'
import type { Manifest } from '#providers/manifest.ts'
import { bestRoute, type LinkerdCall } from './linkerd.ts'
import { type Loose, NotUnderstood, ofKind } from './objects.ts'
import { milliseconds, outcomes, statusOf, type Treatment } from './treatment.ts'

/** Where a call goes: a Service of the cluster, or a host outside. */
export type LinkerdTarget =
  | { readonly service: string; readonly namespace: string; readonly port: number }
  | { readonly host: string; readonly port: number }

const gatewayGroup = 'gateway.networking.k8s.io'

/** How the proxy of a pod in this namespace treats a call; `refused` where no route takes it. */
export function linkerdTreats(
  objects: readonly Manifest[],
  namespace: string,
  target: LinkerdTarget,
  call: LinkerdCall,
): Treatment | 'refused' {
  const routes = routesTo(objects, namespace, target)
  const service = 'service' in target ? serviceOf(objects, target) : null
  const defaults: Annotations = service?.metadata.annotations ?? {}
  const route = bestRoute(routes, call)
  if (routes.length > 0 && !route) return 'refused'
  // An EgressNetwork that denies lets nothing out that has no route.
  if (routes.length === 0 && !service) return 'refused'
  const annotations: Annotations = { ...defaults, ...route?.metadata.annotations }
  const timeout = annotations['timeout.linkerd.io/request']
  return {
    timeoutMs: timeout === undefined ? null : milliseconds(timeout),
    ...retriesOf(annotations),
    budget: null,
    breaker: breakerOf(defaults),
    concurrentMax: null,
    pendingMax: null,
  }
}

type Annotations = Readonly<Record<string, string>>

/** Those of the caller's own namespace, and of the Service's. A Service's GRPCRoutes and HTTPRoutes do not mix. */
function routesTo(objects: readonly Manifest[], namespace: string, target: LinkerdTarget): readonly Loose[] {
  const attached = (kind: string): readonly Loose[] =>
    ofKind(objects, gatewayGroup, kind).filter(
      ({ metadata, spec }) =>
        (metadata.namespace === namespace || ('namespace' in target && metadata.namespace === target.namespace)) &&
        spec.parentRefs.some((parent: Loose) => isTarget(parent, metadata.namespace, spec.hostnames, target)),
    )
  const [http, grpc] = [attached('HTTPRoute'), attached('GRPCRoute')]
  if (http.length > 0 && grpc.length > 0) throw new NotUnderstood('Both kinds of routes for one target')
  // The choice among routes asks for parents and rules alone.
  return [...http, ...grpc].map(({ spec: { hostnames: _, ...spec }, ...route }) => ({ ...route, spec }))
}

function isTarget(
  parent: Loose,
  own: string,
  hostnames: readonly string[] | undefined,
  target: LinkerdTarget,
): boolean {
  if (parent.port !== undefined && parent.port !== target.port) return false
  if ('host' in target) {
    return parent.kind === 'EgressNetwork' && (hostnames === undefined || hostnames.includes(target.host))
  }
  if (parent.kind !== 'Service' || parent.name !== target.service) return false
  if (hostnames !== undefined) throw new NotUnderstood('Host names of a Service’s route')
  return (parent.namespace ?? own) === target.namespace
}

function serviceOf(objects: readonly Manifest[], { service, namespace }: Extract<LinkerdTarget, { service: string }>) {
  const found = ofKind(objects, 'v1', 'Service').find(
    ({ metadata }) => metadata.name === service && metadata.namespace === namespace,
  )
  if (!found) throw new NotUnderstood(`No Service ${service} is rendered`)
  return found
}

/** Nothing is tried again unless outcomes are named; then once, unless a number is. */
function retriesOf(annotations: Annotations): Pick<Treatment, 'attempts' | 'perTryTimeoutMs' | 'on'> {
  const grpc = annotations['retry.linkerd.io/grpc']?.split(',')
  const http = annotations['retry.linkerd.io/http']?.split(',')
  const timeout = annotations['retry.linkerd.io/timeout']
  if (!grpc && !http) return { attempts: 1, perTryTimeoutMs: null, on: [] }
  const isNamed = (outcome: RetryOn): boolean =>
    grpc?.includes(outcome) || http?.some((word) => statusHolds(word, statusOf[outcome])) || false
  return {
    attempts: Number(annotations['retry.linkerd.io/limit'] ?? 1) + 1,
    perTryTimeoutMs: timeout === undefined ? null : milliseconds(timeout),
    on: outcomes.filter(isNamed),
  }
}

function statusHolds(word: string, status: number): boolean {
  if (word === '5xx') return status >= 500
  if (word === 'gateway-error') return status >= 502 && status <= 504
  if (!/^\d+(-\d+)?$/.test(word)) throw new NotUnderstood(`The status ${word}`)
  const [first, last = first] = word.split('-').map(Number)
  return status >= Number(first) && status <= Number(last)
}

const accrual = 'balancer.linkerd.io/failure-accrual'

/** Each endpoint by itself, all of them if need be. A penalty that grows or varies is none that was declared. */
function breakerOf(annotations: Annotations): Treatment['breaker'] {
  const mode = annotations[accrual]
  if (mode === undefined) return null
  if (mode !== 'consecutive') throw new NotUnderstood(`Failure accrual ${mode}`)
  const of = (name: string, otherwise: string): string => annotations[`${accrual}-consecutive-${name}`] ?? otherwise
  const least = milliseconds(of('min-penalty', '1s'))
  if (milliseconds(of('max-penalty', '60s')) !== least) throw new NotUnderstood('A penalty that grows')
  if (Number(of('jitter-ratio', '0.5')) !== 0) throw new NotUnderstood('A penalty that varies')
  return { failures: Number(of('max-failures', '7')), openMs: least, ejectable: 100 }
}
