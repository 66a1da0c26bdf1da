/**
 * The operating errors of a service: what went wrong in the words of the domain, never of a transport. The edges
 * translate (`grpc/errors.ts`, `http/problem.ts`), so that a handler throws the same error whoever called it.
 */

/** Every code with what it means and whether the same request may succeed later. The reference page is made from this. */
export const errorCodes = {
  'invalid-argument': {
    meaning: 'The request is wrong whatever the state; `violations` say which fields.',
    transient: false,
  },
  unauthenticated: { meaning: 'The caller did not show who it is, or the proof does not hold.', transient: false },
  'permission-denied': { meaning: 'The caller is known and may not do this.', transient: false },
  'not-found': { meaning: 'What the request names does not exist.', transient: false },
  conflict: { meaning: 'Someone else changed it first; read again and decide anew.', transient: false },
  'failed-precondition': {
    meaning: 'The state does not allow it, such as cancelling what is shipped.',
    transient: false,
  },
  'idempotency-key-reused': {
    meaning: 'The idempotency key belongs to a request with other contents.',
    transient: false,
  },
  unimplemented: { meaning: 'The callee does not know the method.', transient: false },
  unavailable: { meaning: 'The callee cannot be had: not started, ejected, or its breaker is open.', transient: true },
  'deadline-exceeded': {
    meaning: 'The time that the caller gave is used up. The outcome is unknown.',
    transient: true,
  },
  overloaded: {
    meaning: 'A limit was reached, and the request was refused before anything was done.',
    transient: true,
  },
  'webhook-forged': {
    meaning: 'The webhook is not signed with a secret of this subscription, or was changed on its way.',
    transient: false,
  },
  'webhook-stale': {
    meaning: 'The webhook is signed, but for a time too far from now: perhaps somebody kept it to send it again.',
    transient: false,
  },
  'webhook-replayed': {
    meaning: 'A webhook with this id was taken already. Its sender may be told that all is well.',
    transient: false,
  },
  cancelled: { meaning: 'The caller went away before it was answered.', transient: false },
  internal: {
    meaning: 'A fault of ours. The message stays inside; the correlation id finds it in the logs.',
    transient: false,
  },
} as const satisfies Record<string, { meaning: string; transient: boolean }>

/** The stable name of an operating error. */
export type ErrorCode = keyof typeof errorCodes

/** What is wrong with one field of a request: its path such as `lines[0].quantity`, a stable code, a sentence. */
export type Violation = { readonly field: string; readonly code: string; readonly message: string }

/** Violations told to a caller at most, so that a large wrong request does not make a larger answer. */
export const violationsToldMax = 20

type ServiceErrorOptions = { readonly violations?: readonly Violation[]; readonly cause?: unknown }

/**
 * The one class of operating errors. The message is shown to callers, except that of `internal`, so it holds no
 * secret and says the next step. Programmer errors are ordinary `Error`s; at the edges they become `internal`.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ErrorCode
  readonly violations: readonly Violation[]

  constructor(code: ErrorCode, message: string, { violations = [], cause }: ServiceErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.violations = violations
  }

  /** Whether the same request may succeed later without a change. */
  get transient(): boolean {
    return errorCodes[this.code].transient
  }

  /** The error itself when it is one, otherwise an `internal` one that carries the thrown value as its cause. */
  static from(thrown: unknown): ServiceError {
    if (thrown instanceof ServiceError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new ServiceError('internal', message, { cause: thrown })
  }
}

/** Whether a thrown value is an operating error with one of these codes. */
export function isServiceError(thrown: unknown, ...codes: readonly ErrorCode[]): thrown is ServiceError {
  return thrown instanceof ServiceError && (codes.length === 0 || codes.includes(thrown.code))
}

/** An operating error with other names for its fields: those that whoever is answered knows. Anything else stays as it is. */
export function withFields(thrown: unknown, nameOf: (field: string) => string): unknown {
  if (!(thrown instanceof ServiceError) || thrown.violations.length === 0) return thrown
  const violations = thrown.violations.map((violation) => ({ ...violation, field: nameOf(violation.field) }))
  return new ServiceError(thrown.code, thrown.message, { violations, cause: thrown })
}

/** The request is wrong. `violations` name each field, so that a client can show them beside its form. */
export function invalidArgument(message: string, ...violations: readonly Violation[]): ServiceError {
  return new ServiceError('invalid-argument', message, { violations })
}

/** Nothing has this name. */
export function notFound(message: string): ServiceError {
  return new ServiceError('not-found', message)
}
