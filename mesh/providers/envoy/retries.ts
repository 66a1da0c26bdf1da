import type { RetryOn } from '#graph/policy.ts'
import type { PlannedRetry, Protocol } from '#plan/plan.ts'
import { type Config, duration } from './config.ts'

/** The HTTP status in which each reason shows on a REST call; gRPC has the reasons themselves. */
const statuses: Readonly<Record<RetryOn, readonly number[]>> = {
  unavailable: [502, 503],
  'deadline-exceeded': [504],
  'resource-exhausted': [429],
  cancelled: [499],
  internal: [500],
}

/**
 * A route's retry policy. An attempt without an answer in its time (refused, reset, or past its per-try timeout) counts as
 * `unavailable` and as `deadline-exceeded`. The callee knows that timeout as its deadline and may answer so itself, so an
 * answer of DEADLINE_EXCEEDED counts as none.
 */
export function retryPolicy(retry: PlannedRetry, protocol: Protocol): Config {
  const unanswered = retry.on.some((reason) => reason === 'unavailable' || reason === 'deadline-exceeded')
  const reasons = unanswered ? new Set([...retry.on, 'deadline-exceeded' as const]) : new Set(retry.on)
  const on = protocol === 'grpc' ? [...reasons] : ['retriable-status-codes']
  return {
    retry_on: [...on, ...(unanswered ? ['connect-failure', 'refused-stream', 'reset'] : [])].join(','),
    num_retries: retry.attempts - 1,
    per_try_timeout: duration(retry.perTryTimeoutMs),
    retry_back_off: { base_interval: duration(retry.backoff.baseMs), max_interval: duration(retry.backoff.maxMs) },
    ...(protocol === 'http' ? { retriable_status_codes: [...reasons].flatMap((reason) => statuses[reason]) } : {}),
  }
}

/**
 * The bound on retries under way towards one callee. Envoy keeps one a cluster: where routes to the same callee differ,
 * the strictest holds. Without any retry there is none to spend.
 */
export function retryBudget(retries: readonly (PlannedRetry | null)[]): Config {
  const budgets = retries.flatMap((retry) => (retry ? [retry.budget] : []))
  if (budgets.length === 0) return { max_retries: 0 }
  return {
    retry_budget: {
      budget_percent: { value: Math.min(...budgets.map((budget) => budget.percent)) },
      min_retry_concurrency: Math.min(...budgets.map((budget) => budget.concurrentMin)),
    },
  }
}
