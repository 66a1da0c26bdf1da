import { type ErrorCode, errorCodes, type ServiceError, type Violation, violationsToldMax } from '../errors.ts'
import { internalMessage } from '../grpc/errors.ts'

/** What HTTP itself refuses, whatever the domain would say to it: each with its status and title. */
export const httpProblems = {
  'malformed-json': { status: 400, title: 'The body is no JSON' },
  'malformed-request': { status: 400, title: 'The request is no HTTP that this server understands' },
  'route-not-found': { status: 404, title: 'Nothing is here' },
  'unknown-version': { status: 400, title: 'There is no such version of this' },
  'version-retired': { status: 410, title: 'This version is not served any more' },
  'method-not-allowed': { status: 405, title: 'This resource does not take this method' },
  'precondition-failed': { status: 412, title: 'It is not in the state that the request is made for' },
  'body-too-large': { status: 413, title: 'The body is larger than allowed' },
  'unsupported-media-type': { status: 415, title: 'The body has a type that this route does not take' },
  'precondition-required': { status: 428, title: 'The request must say which state it is made for' },
} as const

/** How each operating error looks over HTTP. */
const operatingProblems: Readonly<Record<ErrorCode, { status: number; title: string }>> = {
  'invalid-argument': { status: 400, title: 'The request is wrong' },
  unauthenticated: { status: 401, title: 'Who is asking is not known' },
  'permission-denied': { status: 403, title: 'This may not be done by who is asking' },
  'not-found': { status: 404, title: 'This does not exist' },
  conflict: { status: 409, title: 'Someone else changed it first' },
  'failed-precondition': { status: 409, title: 'The state does not allow it' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key belongs to another request' },
  unimplemented: { status: 501, title: 'This is not offered' },
  unavailable: { status: 503, title: 'A part that is needed cannot be had' },
  'deadline-exceeded': { status: 504, title: 'It took too long' },
  overloaded: { status: 503, title: 'Too much is under way' },
  'webhook-forged': { status: 401, title: 'The webhook is not ours' },
  'webhook-stale': { status: 401, title: 'The webhook is too old or too new' },
  'webhook-replayed': { status: 409, title: 'The webhook was taken already' },
  cancelled: { status: 499, title: 'The client went away' },
  internal: { status: 500, title: 'An internal error' },
}

/** What a handler throws where HTTP itself refuses a request; the message is shown to the client. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal'
  readonly code: keyof typeof httpProblems

  constructor(code: keyof typeof httpProblems, message: string) {
    super(message)
    this.code = code
  }
}

/** The stable code of a problem document: an operating error's, or one of HTTP's own. */
export type ProblemCode = ErrorCode | keyof typeof httpProblems

/** A problem document (RFC 9457), as `application/problem+json`. */
export type Problem = {
  /** A URN that ends with the code. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  /** The path that was asked for. */
  readonly instance: string
  readonly code: ProblemCode
  readonly correlationId: string
  /** The versions that are served instead, the oldest first; with `unknown-version` and `version-retired` alone. */
  readonly versions?: readonly string[]
  /** What is wrong with which part; `pointer` (RFC 6901) where it is in the body. */
  readonly errors?: readonly (Violation & { readonly pointer?: string })[]
}

/** The media type of problem documents. */
export const problemType = 'application/problem+json'

type Where = { readonly instance: string; readonly correlationId: string }

/** The document for an operating error. An internal error's message stays inside. */
export function problemOf(error: ServiceError, where: Where): Problem {
  const detail = error.code === 'internal' ? internalMessage(where.correlationId) : error.message
  return document(error.code, operatingProblems[error.code], detail, where, error.violations)
}

/** The document for what HTTP itself refuses. */
export function httpProblem(
  code: keyof typeof httpProblems,
  detail: string,
  where: Where,
  violations: readonly Violation[] = [],
): Problem {
  return document(code, httpProblems[code], detail, where, violations)
}

/** Seconds after which the same request is worth another try; undefined where it is not. */
export function retryAfterSeconds(code: ProblemCode): number | undefined {
  return code in errorCodes && errorCodes[code as ErrorCode].transient ? 1 : undefined
}

function document(
  code: ProblemCode,
  { status, title }: { status: number; title: string },
  detail: string,
  { instance, correlationId }: Where,
  violations: readonly Violation[],
): Problem {
  const errors = violations
    .slice(0, violationsToldMax)
    .map((violation) => ({ ...violation, ...pointerOf(violation.field) }))
  const problem = { type: `urn:parley:problem:${code}`, title, status, detail, instance, code, correlationId }
  return errors.length > 0 ? { ...problem, errors } : problem
}

/** Fields outside of the body are written `header:name`, `query:name` or `path:name`. */
function pointerOf(field: string): { pointer?: string } {
  if (field.includes(':')) return {}
  const steps = field.split(/[.[\]]+/).filter((step) => step !== '')
  return { pointer: ['', ...steps.map((step) => step.replaceAll('~', '~0').replaceAll('/', '~1'))].join('/') }
}
