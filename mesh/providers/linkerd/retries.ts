import type { RetryOn } from '#graph/policy.ts'
import type { PlannedRetry, Protocol } from '#plan/plan.ts'

/** The HTTP statuses in which each reason shows on a REST call; gRPC has the reasons themselves. */
const statuses: Readonly<Record<RetryOn, readonly number[]>> = {
  unavailable: [502, 503],
  'deadline-exceeded': [504],
  'resource-exhausted': [429],
  cancelled: [499],
  internal: [500],
}

/**
 * A retry as annotations of a route. Without the list of reasons Linkerd retries nothing but what timed out or found nobody;
 * `limit` counts retries, not attempts.
 */
export function retryAnnotations(retry: PlannedRetry | null, protocol: Protocol): Readonly<Record<string, string>> {
  if (!retry || retry.attempts < 2 || retry.on.length === 0) return {}
  const reasons =
    protocol === 'grpc'
      ? { 'retry.linkerd.io/grpc': retry.on.join(',') }
      : { 'retry.linkerd.io/http': retry.on.flatMap((reason) => statuses[reason]).join(',') }
  return {
    ...reasons,
    'retry.linkerd.io/limit': String(retry.attempts - 1),
    'retry.linkerd.io/timeout': `${retry.perTryTimeoutMs}ms`,
  }
}

/**
 * The one retry that all callers of a method share: none unless every one of them declares it, and then the fewest attempts,
 * the most time for one, and the reasons that all agree on. So no callee gets more attempts than a caller declared.
 */
export function sharedRetry(retries: readonly (PlannedRetry | null)[]): PlannedRetry | null {
  const declared = retries.flatMap((retry) => (retry ? [retry] : []))
  const [first] = declared
  if (!first || declared.length < retries.length) return null
  return {
    ...first,
    attempts: Math.min(...declared.map(({ attempts }) => attempts)),
    perTryTimeoutMs: Math.max(...declared.map(({ perTryTimeoutMs }) => perTryTimeoutMs)),
    on: first.on.filter((reason) => declared.every(({ on }) => on.includes(reason))),
  }
}
