import type { RetryOn } from '#graph/policy.ts'
import type { PlannedRetry, Protocol } from '#plan/plan.ts'
import { duration, type Spec } from './objects.ts'

/** The HTTP status in which each reason shows on a REST call. Istio knows none for `cancelled` (499 is no registered status). */
const statuses: Readonly<Record<RetryOn, readonly number[]>> = {
  unavailable: [502, 503],
  'deadline-exceeded': [504],
  'resource-exhausted': [429],
  cancelled: [],
  internal: [500],
}

/** How many times the base the longest wait is, in Envoy where nothing else is said: and Istio cannot say. */
export const backoffGrowth = 10

/** What every rule carries that is not retried. Without it Istio retries twice, whatever the method. */
export const noRetry: Spec = { attempts: 0 }

/**
 * A rule's retries. Istio counts those after the first attempt. An attempt without an answer in its time counts as
 * `unavailable` and as `deadline-exceeded`: whether the caller's proxy ends it or the callee's is a race, so both are named.
 */
export function retries(retry: PlannedRetry | null, protocol: Protocol): Spec {
  if (!retry || retry.attempts <= 1) return noRetry
  const on = protocol === 'grpc' ? grpcReasons(retry.on) : httpReasons(retry.on)
  if (on.length === 0) return noRetry
  return {
    attempts: retry.attempts - 1,
    perTryTimeout: duration(retry.perTryTimeoutMs),
    backoff: duration(retry.backoff.baseMs),
    retryOn: on.join(','),
  }
}

/** What may be under way of retries towards one host, the strictest where routes differ; absent where nothing is retried. */
export function retryBudget(retries: readonly (PlannedRetry | null)[]): Spec {
  const budgets = retries.flatMap((retry) => (retry ? [retry.budget] : []))
  if (budgets.length === 0) return {}
  return {
    retryBudget: {
      percent: Math.min(...budgets.map((budget) => budget.percent)),
      minRetryConcurrency: Math.min(...budgets.map((budget) => budget.concurrentMin)),
    },
  }
}

const unansweredReasons = ['connect-failure', 'refused-stream', 'reset'] as const

function grpcReasons(on: readonly RetryOn[]): readonly string[] {
  // `gateway-error` is what makes Envoy try again after a per-try timeout of its own; the rest are words of gRPC.
  return isUnanswered(on) ? [...withDeadline(on), 'gateway-error', ...unansweredReasons] : on
}

function httpReasons(on: readonly RetryOn[]): readonly string[] {
  if (!isUnanswered(on)) return on.flatMap((reason) => statuses[reason]).map(String)
  return [
    ...unansweredReasons,
    ...withDeadline(on)
      .flatMap((reason) => statuses[reason])
      .map(String),
  ]
}

function isUnanswered(on: readonly RetryOn[]): boolean {
  return on.includes('unavailable') || on.includes('deadline-exceeded')
}

function withDeadline(on: readonly RetryOn[]): readonly RetryOn[] {
  return [...new Set<RetryOn>([...on, 'deadline-exceeded'])]
}
