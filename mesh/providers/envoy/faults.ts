import type { RetryOn } from '#graph/policy.ts'
import { type Config, duration, extension, typed } from './config.ts'

/**
 * A fault on one declared edge. At the `caller` it stands for a callee that cannot be reached: no retry, no breaker sees
 * it. At the `callee` it is what that callee answers to that caller, so retries and the breaker work as in earnest.
 */
export type Fault = {
  readonly at: 'caller' | 'callee'
  readonly from: string
  /** The callee; at the caller also an HTTP system outside. */
  readonly to: string
  /** The path of the method, as the plan has it; null for all that the edge declares. */
  readonly path: string | null
  /** The share of calls that it hits, 0 to 100. */
  readonly percent: number
  readonly effect:
    | { readonly kind: 'abort'; readonly status: RetryOn }
    | { readonly kind: 'delay'; readonly delayMs: number }
}

const filterName = 'envoy.filters.http.fault'

const httpStatuses: Readonly<Record<RetryOn, number>> = {
  unavailable: 503,
  'deadline-exceeded': 504,
  'resource-exhausted': 429,
  cancelled: 499,
  internal: 500,
}

const grpcStatuses: Readonly<Record<RetryOn, number>> = {
  unavailable: 14,
  'deadline-exceeded': 4,
  'resource-exhausted': 8,
  cancelled: 1,
  internal: 13,
}

/** The filter in its place in the chain. It is off and costs nothing until a route turns it on. */
export const faultFilter: Config = {
  ...extension(filterName, 'extensions.filters.http.fault.v3.HTTPFault'),
  disabled: true,
}

/** What a route carries for a fault to hit it. */
export function faultOf(fault: Fault, protocol: 'grpc' | 'http'): Config {
  return { [filterName]: typed('extensions.filters.http.fault.v3.HTTPFault', effectOf(fault, protocol)) }
}

/** The fault that hits one method of an edge, the first where several do. */
export function faultAt(
  faults: readonly Fault[],
  edge: { readonly at: Fault['at']; readonly from: string; readonly to: string; readonly path: string },
): Fault | undefined {
  return faults.find(
    (fault) =>
      fault.at === edge.at &&
      fault.from === edge.from &&
      fault.to === edge.to &&
      (fault.path === null || fault.path === edge.path),
  )
}

function effectOf({ effect, percent }: Fault, protocol: 'grpc' | 'http'): Config {
  const percentage = { numerator: Math.round(percent * 10_000), denominator: 'MILLION' }
  switch (effect.kind) {
    case 'delay':
      return { delay: { fixed_delay: duration(effect.delayMs), percentage } }
    case 'abort':
      return protocol === 'grpc'
        ? { abort: { grpc_status: grpcStatuses[effect.status], percentage } }
        : { abort: { http_status: httpStatuses[effect.status], percentage } }
  }
}
