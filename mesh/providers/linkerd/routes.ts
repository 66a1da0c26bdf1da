import { type Fault, faultAt } from '#plan/fault.ts'
import type { MethodRef, PlannedRetry, Protocol } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { namesOf } from './authorization.ts'
import { faultRefusal, faultyBackends } from './faults.ts'
import { everything, grpcMatch, httpMatch } from './match.ts'
import { metadata, methodKey } from './names.ts'
import { retryAnnotations, sharedRetry } from './retries.ts'

/** What the callers of a method declare of it, each with its name; the way in from outside counts as one without a retry. */
export type Wish = {
  readonly from: string
  readonly deadlineMs: number
  /** The longest silence on a stream; null or absent where nothing streams. */
  readonly idleMs?: number | null
  readonly retry: PlannedRetry | null
}

/**
 * How calls to a service behave: one route of its Service a method, because deadline and retry are annotations of a whole
 * route, and one that takes all the rest, because a Service that has routes answers NOT_FOUND to what has none. The
 * callee's own proxy refuses the rest.
 */
export function callRoutes(site: Site, slice: ServiceSlice, faults: readonly Fault[]): readonly Manifest[] {
  const { service, calledBy } = slice
  if (!service.protocol || calledBy.length === 0) return []
  const protocol = service.protocol
  const names = namesOf(slice)
  const calls = calledMethods(slice).map(({ method, wishes }) => {
    const name = `${service.name}.call.${names.get(methodKey(method)) ?? 'method'}`
    const match = protocol === 'grpc' ? grpcMatch(method) : httpMatch(method)
    const backends = faultyBackends(site, service.name, faultOn(slice, method, faults), protocol)
    return callRoute(site, service.name, name, protocol, { matches: [match], ...backends }, policyOf(wishes, protocol))
  })
  const rest = protocol === 'grpc' ? {} : { matches: [everything] }
  return [...calls, callRoute(site, service.name, `${service.name}.call`, protocol, rest, {})]
}

/** Every method that another service calls, with what each caller declares of it, in the order of the paths. */
export function calledMethods({ calledBy, exposures }: Pick<ServiceSlice, 'calledBy' | 'exposures'>): readonly {
  readonly method: MethodRef
  readonly wishes: readonly Wish[]
}[] {
  const called = new Map<string, { method: MethodRef; wishes: Wish[] }>()
  for (const { from, routes } of calledBy) {
    for (const { methods, deadlineMs, idleMs, retry } of routes) {
      for (const method of methods) {
        const found = called.get(methodKey(method)) ?? { method, wishes: [] }
        found.wishes.push({ from, deadlineMs, idleMs: method.streaming ? idleMs : null, retry })
        called.set(methodKey(method), found)
      }
    }
  }
  for (const { name, methods, deadlineMs, streamDeadlineMs } of exposures)
    for (const method of methods) {
      const bound = method.streaming ? { deadlineMs: streamDeadlineMs, idleMs: 60_000 } : { deadlineMs, idleMs: null }
      called.get(methodKey(method))?.wishes.push({ from: `exposure ${name}`, ...bound, retry: null })
    }
  return [...called.values()].sort((a, b) => (methodKey(a.method) < methodKey(b.method) ? -1 : 1))
}

const laterMs = 1_000

/**
 * Deadline and retry of a route. It is the callee's, not the caller's: where callers differ the longest deadline holds, for a
 * shorter one would cut calls that their caller still waits for, and callers have their own clocks besides.
 */
export function policyOf(wishes: readonly Omit<Wish, 'from'>[], protocol: Protocol): Readonly<Record<string, string>> {
  const deadlineMs = Math.max(...wishes.map((wish) => wish.deadlineMs))
  const idle = wishes.flatMap(({ idleMs }) => idleMs ?? [])
  // What a proxy cuts in the middle of a stream looks like a failure, so its caller's own clock goes first.
  const bounds: Record<string, string> =
    idle.length === 0
      ? { 'timeout.linkerd.io/request': `${deadlineMs}ms` }
      : {
          'timeout.linkerd.io/request': `${deadlineMs + laterMs}ms`,
          'timeout.linkerd.io/idle': `${Math.max(...idle)}ms`,
        }
  return {
    ...bounds,
    ...retryAnnotations(sharedRetry(wishes.map(({ retry }) => retry)), protocol),
  }
}

function faultOn(slice: ServiceSlice, method: MethodRef, faults: readonly Fault[]): Fault | undefined {
  const to = slice.service.name
  return slice.calledBy
    .map(({ from }) => faultAt(faults, { at: 'callee', from, to, path: method.path }))
    .find((fault) => fault && faultRefusal(slice, fault) === null)
}

function callRoute(
  site: Site,
  service: string,
  name: string,
  protocol: Protocol,
  rule: object,
  annotations: Readonly<Record<string, string>>,
): Manifest {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: protocol === 'grpc' ? 'GRPCRoute' : 'HTTPRoute',
    metadata: metadata(site, service, name, annotations),
    spec: { parentRefs: [{ group: '', kind: 'Service', name: service, port: ports.app }], rules: [rule] },
  }
}
