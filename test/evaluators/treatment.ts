/** How a mesh treats a call, in numbers that are the same for every mesh. */
import type { RetryOn } from '#graph/policy.ts'
import { NotUnderstood } from './objects.ts'

/** What the caller's proxy does with a call. `null` is no bound. */
export type Treatment = {
  readonly timeoutMs: number | null
  /** With the first one. */
  readonly attempts: number
  readonly perTryTimeoutMs: number | null
  /** After which outcomes it tries again. */
  readonly on: readonly RetryOn[]
  readonly budget: { readonly percent: number; readonly concurrentMin: number } | null
  /** `ejectable` is the share of endpoints that may be left out at once, in percent. */
  readonly breaker: { readonly failures: number; readonly openMs: number; readonly ejectable: number } | null
  readonly concurrentMax: number | null
  readonly pendingMax: number | null
}

/** The HTTP status that an outcome shows in on a call that is not gRPC. */
export const statusOf: Readonly<Record<RetryOn, number>> = {
  unavailable: 503,
  'deadline-exceeded': 504,
  'resource-exhausted': 429,
  cancelled: 499,
  internal: 500,
}

/** All outcomes after which a call may be tried again. */
export const outcomes = Object.keys(statusOf) as readonly RetryOn[]

/** A duration such as `0.3s`, `300ms` or `2m`, in milliseconds. */
export function milliseconds(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  const factor = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit]
  if (amount === undefined || factor === undefined) throw new NotUnderstood(`The duration ${text}`)
  return Math.round(Number(amount) * factor)
}
