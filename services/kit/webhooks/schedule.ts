import type { Backoff } from '#graph/policy.ts'

/** How attempts follow each other: the words of a webhook's declaration. */
export type Schedule = { readonly attempts: number; readonly backoff: Backoff }

/** The share of a wait that chance may take away, so that what failed together is not tried again together. */
const jitterShare = 0.2

/**
 * How long to wait after the `attempt`th attempt (from 1) failed; null where it was the last. Waits grow by the same factor from `baseMs`
 * after the first to `maxMs` before the last, less up to a fifth by chance. A receiver that names a time itself is not
 * asked before it, within `maxMs`. `random` is from 0 up to 1.
 */
export function retryDelayMs(
  { attempts, backoff: { baseMs, maxMs } }: Schedule,
  attempt: number,
  random: number,
  retryAfterMs = 0,
): number | null {
  if (attempt >= attempts) return null
  const factor = attempts > 2 ? (maxMs / baseMs) ** (1 / (attempts - 2)) : 1
  const waitMs = Math.min(baseMs * factor ** (attempt - 1), maxMs)
  return Math.round(Math.max(waitMs * (1 - jitterShare * random), Math.min(retryAfterMs, maxMs)))
}

/** `Retry-After` in milliseconds: seconds, or a date (RFC 9110, 10.2.3). 0 where it is missing, past or malformed. */
export function readRetryAfter(header: string | undefined, now: Date): number {
  if (header === undefined || header.length > 64) return 0
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000
  const at = /^[A-Z][a-z]{2}, /.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(at) ? 0 : Math.max(0, at - now.getTime())
}
