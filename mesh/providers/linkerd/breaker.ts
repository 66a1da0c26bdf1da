import type { Breaker } from '#graph/policy.ts'

const prefix = 'balancer.linkerd.io/failure-accrual'

/**
 * The breaker as annotations of the callee's Service. The penalty neither grows nor varies: it is the declared time, after
 * which one call is let through as a trial.
 */
export function breakerAnnotations(breakers: readonly Breaker[]): Readonly<Record<string, string>> {
  const breaker = loosestBreaker(breakers)
  if (!breaker) return {}
  return {
    [prefix]: 'consecutive',
    [`${prefix}-consecutive-max-failures`]: String(breaker.failures),
    [`${prefix}-consecutive-min-penalty`]: `${breaker.openMs}ms`,
    [`${prefix}-consecutive-max-penalty`]: `${breaker.openMs}ms`,
    [`${prefix}-consecutive-jitter-ratio`]: '0',
  }
}

/**
 * The one breaker that all callers of a Service share: the most failures and the shortest time that any of them declares,
 * for a breaker stricter than declared would refuse calls that its caller wants made. Null where nobody calls.
 */
export function loosestBreaker(breakers: readonly Breaker[]): Breaker | null {
  if (breakers.length === 0) return null
  return {
    failures: Math.max(...breakers.map(({ failures }) => failures)),
    openMs: Math.min(...breakers.map(({ openMs }) => openMs)),
  }
}

/**
 * A proxy forgets a callee, and with it an open breaker, when it has not been called for a while (5 s by default). So it
 * remembers for at least twice the longest time that a breaker of its own stays open.
 */
export function memoryAnnotations(breakers: readonly Breaker[]): Readonly<Record<string, string>> {
  if (breakers.length === 0) return {}
  const seconds = Math.max(120, ...breakers.map(({ openMs }) => Math.ceil((2 * openMs) / 1_000)))
  return { 'config.linkerd.io/proxy-outbound-discovery-cache-unused-timeout': `${seconds}s` }
}
