import type { MethodFacts } from './api.ts'
import type { ReachEdge } from './external.ts'
import type { Backoff, Breaker, CallPolicy, Redelivery, RetryOn } from './policy.ts'
import type { ConsumePolicy } from './topic.ts'

/** A call's policy with every default filled in. */
export type ResolvedCall = {
  readonly deadlineMs: number
  /** What bounds a stream's silence; says nothing of other calls. */
  readonly idleMs: number
  readonly retry: ResolvedRetry | null
  readonly breaker: Breaker
  readonly limits: { readonly concurrentMax: number; readonly pendingMax: number }
  readonly fallback: boolean
}

/** A retry with every default filled in. `attempts` counts the first one. */
export type ResolvedRetry = {
  readonly attempts: number
  readonly perTryTimeoutMs: number
  readonly on: readonly RetryOn[]
  readonly backoff: Backoff
  readonly budget: { readonly percent: number; readonly concurrentMin: number }
}

/** Fills in the defaults of a call: 1 s, one attempt, a breaker of 5 failures and 30 s, 100 concurrent and pending; streams silent for a minute. */
export function resolveCall(policy: CallPolicy, deadlineDefaultMs = 1_000): ResolvedCall {
  const deadlineMs = policy.deadlineMs ?? deadlineDefaultMs
  const retry = policy.retry
  return {
    deadlineMs,
    idleMs: policy.idleMs ?? 60_000,
    retry: retry
      ? {
          attempts: retry.attempts,
          perTryTimeoutMs: retry.perTryTimeoutMs ?? Math.floor(deadlineMs / retry.attempts),
          on: retry.on ?? ['unavailable'],
          backoff: retry.backoff ?? { baseMs: 25, maxMs: 250 },
          budget: retry.budget ?? { percent: 20, concurrentMin: 3 },
        }
      : null,
    breaker: policy.breaker ?? { failures: 5, openMs: 30_000 },
    limits: { concurrentMax: policy.limits?.concurrentMax ?? 100, pendingMax: policy.limits?.pendingMax ?? 100 },
    fallback: policy.fallback ?? false,
  }
}

/** Fills in the defaults of a call to an external: its deadline is the expected latency and a third more. */
export function resolveReach(edge: ReachEdge): ResolvedCall {
  return resolveCall(edge.policy, Math.ceil((edge.external.expectedLatencyMs * 4) / 3))
}

/** Redelivery with its defaults: 5 attempts, backing off from 100 ms to 5 s. */
export function resolveRedelivery(redelivery: Redelivery = {}): Required<Redelivery> {
  return { attempts: redelivery.attempts ?? 5, backoff: redelivery.backoff ?? { baseMs: 100, maxMs: 5_000 } }
}

/** A consumer's policy with its defaults: the service's own group, 3 partitions at once, idempotent, dead-lettered. */
export function resolveConsume(
  service: string,
  policy: ConsumePolicy,
): Required<ConsumePolicy> & { redelivery: Required<Redelivery> } {
  return {
    group: policy.group ?? service,
    concurrency: policy.concurrency ?? 3,
    gatherMs: policy.gatherMs ?? 0,
    redelivery: resolveRedelivery(policy.redelivery),
    deadLetter: policy.deadLetter ?? true,
    idempotent: policy.idempotent ?? true,
    replayable: policy.replayable ?? false,
  }
}

/** Whether a second attempt at a method is safe: by its contract, or because the callee recognises the key. */
export function retrySafe(method: MethodFacts): boolean {
  return method.idempotent || method.carriesKey
}
