import type { Backoff } from '#graph/policy.ts'

/** The longest waits between attempts that the jitter may draw, in all. Their mean is half of it, the least nothing. */
export function waitCeilingsMs(attempts: number, { baseMs, maxMs }: Backoff): number {
  let sumMs = 0
  for (let retried = 0; retried < Math.min(attempts - 1, 1_000); retried += 1) {
    sumMs += Math.min(maxMs, baseMs * 2 ** retried)
  }
  return sumMs
}

/** The fewest attempts whose waits may take `wantedMs` together; null where not even `attemptsMax` do. */
export function attemptsToWait(wantedMs: number, backoff: Backoff, attemptsMax: number): number | null {
  let sumMs = 0
  for (let attempts = 1; attempts <= attemptsMax; attempts += 1) {
    if (sumMs >= wantedMs) return attempts
    sumMs += Math.min(backoff.maxMs, backoff.baseMs * 2 ** (attempts - 1))
  }
  return null
}
