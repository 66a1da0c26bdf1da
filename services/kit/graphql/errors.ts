import type { GraphQLError } from 'graphql'
import { type ErrorCode, ServiceError, type Violation } from '../errors.ts'
import { internalMessage } from '../grpc/errors.ts'

/** What GraphQL itself refuses before a resolver is asked, each with what it means. The reference page is made from this. */
export const graphqlRefusals = {
  'request-malformed': 'The request holds no operation that could be read: see the specification of GraphQL over HTTP.',
  'batch-refused': 'One request holds one operation; what belongs together is one query.',
  'operation-unknown': 'No known operation has this document id, or the document has no operation of this name.',
  'operation-not-listed': 'Only operations of the list of known ones are taken here: send a `documentId`.',
  'operation-misplaced': 'Queries are posted to `/graphql`, subscriptions are opened at `/graphql/stream`.',
  'query-malformed': 'The document is no GraphQL.',
  'query-invalid': 'The document does not fit the schema.',
  'query-too-long': 'The document has more tokens or characters than are taken.',
  'query-too-deep': 'The document asks for fields within fields beyond the limit.',
  'query-too-many-aliases': 'The document gives more aliases than are taken.',
  'query-too-costly': 'The operation may answer with more objects than are given at once: ask for smaller pages.',
  'introspection-refused': 'The schema is not told here.',
  'variables-invalid': 'The variables do not fit the operation.',
} as const satisfies Record<string, string>

/** The stable code of a refusal. */
export type GraphqlRefusalCode = keyof typeof graphqlRefusals

/** An error as clients see it: `extensions.code` is stable, the message is for people. */
export type GraphqlErrorJson = {
  readonly message: string
  readonly locations?: readonly { readonly line: number; readonly column: number }[]
  readonly path?: readonly (string | number)[]
  readonly extensions: {
    readonly code: ErrorCode | GraphqlRefusalCode
    readonly correlationId: string
    readonly violations?: readonly Violation[]
  }
}

/** Errors of one refusal looked for and shown at most, so that what is large and wrong makes neither a larger answer nor much work. */
export const refusalsMax = 10

/** The operation was not run. One code, and one or more places where it is wrong. */
export class GraphqlRefusal extends Error {
  override readonly name = 'GraphqlRefusal'
  readonly code: GraphqlRefusalCode
  readonly places: readonly GraphQLError[]

  constructor(code: GraphqlRefusalCode, message: string, places: readonly GraphQLError[] = []) {
    super(message)
    this.code = code
    this.places = places.slice(0, refusalsMax)
  }

  /** The refusal as an answer's `errors`. */
  toErrors(correlationId: string): readonly GraphqlErrorJson[] {
    const extensions = { code: this.code, correlationId }
    if (this.places.length === 0) return [{ message: this.message, extensions }]
    return this.places.map(({ message, locations }) => ({ message, ...(locations && { locations }), extensions }))
  }
}

/** What went wrong with one field while the others were answered. `report` hears of what is a fault of ours. */
export function fieldError(
  error: GraphQLError,
  correlationId: string,
  report: (fault: ServiceError) => void,
): GraphqlErrorJson {
  const found = ServiceError.from(causeOf(error))
  if (found.code === 'internal') report(found)
  const { code, violations } = found
  return {
    // An internal error's message stays inside.
    message: code === 'internal' ? internalMessage(correlationId) : found.message,
    ...(error.locations && { locations: error.locations }),
    ...(error.path && { path: error.path }),
    extensions: { code, correlationId, ...(violations.length > 0 && { violations }) },
  }
}

/** What a resolver threw, without the wrapping of those who passed it on. */
export function causeOf(thrown: unknown): unknown {
  let cause = thrown
  while (cause instanceof Error && 'originalError' in cause && cause.originalError) cause = cause.originalError
  return cause
}
