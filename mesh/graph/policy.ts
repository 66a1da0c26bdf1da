/**
 * How an edge behaves when things go wrong. Every field has a default (`defaults.ts`), so an edge without a policy is
 * still bounded: it has a deadline, a breaker and limits, and it is not retried.
 */

/** What a failed attempt may look like for another attempt to be made. The words are those of gRPC's status codes. */
export type RetryOn = 'unavailable' | 'deadline-exceeded' | 'resource-exhausted' | 'cancelled' | 'internal'

/** Exponential backoff with full jitter: the n-th wait is drawn from 0 to `min(maxMs, baseMs × 2ⁿ)`. */
export type Backoff = { readonly baseMs: number; readonly maxMs: number }

/** Another attempt at a call. Only for methods that are idempotent, or that carry an idempotency key. */
export type Retry = {
  /** All attempts, the first one included; 2 means one retry. */
  readonly attempts: number
  /** The bound of one attempt. Default: the deadline divided by the attempts. */
  readonly perTryTimeoutMs?: number
  /** Default: `unavailable` alone. */
  readonly on?: readonly RetryOn[]
  /** Default: 25 ms, to at most 250 ms. */
  readonly backoff?: Backoff
  /** The share of calls in flight that may be retries. Default: 20 %, and always at least 3 at once. */
  readonly budget?: { readonly percent: number; readonly concurrentMin: number }
}

/** Opens after `failures` failed calls in a row, refuses at once for `openMs`, then lets calls through again. */
export type Breaker = { readonly failures: number; readonly openMs: number }

/** How much may be under way at once from one caller to one callee. What exceeds it is refused at once. */
export type Limits = { readonly concurrentMax?: number; readonly pendingMax?: number }

/** The policy of a synchronous edge. */
export type CallPolicy = {
  /** The whole call, all attempts and waits included; of a stream its whole life. Default: 1,000 ms. */
  readonly deadlineMs?: number
  /** Of streams alone: the longest silence, in both directions, before one is ended. Default: 60,000 ms. */
  readonly idleMs?: number
  /** Default: none, one attempt. */
  readonly retry?: Retry
  /** Default: 5 failures, 30 s. One a caller and callee: edges between the same two must agree. */
  readonly breaker?: Breaker
  /** Default: 100 concurrent, 100 pending. One a caller and callee: edges between the same two must agree. */
  readonly limits?: Limits
  /** The caller has an answer of its own when the callee cannot be had. Default: false. */
  readonly fallback?: boolean
}

/** Redelivery of a message whose handler failed, before it becomes a dead letter. */
export type Redelivery = {
  /** All attempts, the first one included. Default: 5. */
  readonly attempts?: number
  /** Default: 100 ms, to at most 5 s. */
  readonly backoff?: Backoff
}

/** A bound on the rate of requests: `perSecond` sustained, `burst` at once. */
export type RateLimit = { readonly perSecond: number; readonly burst: number }

/**
 * What a way in takes a second from everybody, and of that from one client. A client is the address that opened the connection
 * to the edge, of IPv6 its first 64 bits, which are one household's; what it claims in headers does not count.
 */
export type EdgeRate = RateLimit & {
  readonly perClient?: RateLimit & {
    /** Clients that are remembered at once; one that was forgotten begins anew. Default: 10,000. */
    readonly clientsMax?: number
  }
}
