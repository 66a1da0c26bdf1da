import type { RetryOn } from '#graph/policy.ts'

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

/** What an aborted call answers over HTTP. */
export const faultHttpStatuses: Readonly<Record<RetryOn, number>> = {
  unavailable: 503,
  'deadline-exceeded': 504,
  'resource-exhausted': 429,
  cancelled: 499,
  internal: 500,
}

/** What an aborted call answers over gRPC. */
export const faultGrpcStatuses: Readonly<Record<RetryOn, number>> = {
  unavailable: 14,
  'deadline-exceeded': 4,
  'resource-exhausted': 8,
  cancelled: 1,
  internal: 13,
}
