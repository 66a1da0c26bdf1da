import { GraphqlRefusal } from './errors.ts'

/** What a client asks for: an operation by its text or by the id of a known one, and what it is filled with. */
export type GraphqlParams = {
  readonly query: string | undefined
  /** `sha256:` and the hash of a known operation's text. */
  readonly documentId: string | undefined
  readonly operationName: string | undefined
  readonly variables: Readonly<Record<string, unknown>>
}

/**
 * Reads the body of a request.
 * @throws GraphqlRefusal `request-malformed`, `batch-refused`
 */
export function readParams(body: unknown): GraphqlParams {
  if (Array.isArray(body))
    throw new GraphqlRefusal('batch-refused', 'Send one operation a request: what belongs together is one query.')
  if (!isRecord(body)) throw malformed('the body is no object')
  const { query, documentId, operationName, variables } = body
  if (!isRecord(variables ?? {})) throw malformed('"variables" is no object')
  const params = {
    query: textOf('query', query),
    documentId: textOf('documentId', documentId),
    operationName: textOf('operationName', operationName),
    variables: (variables ?? {}) as Readonly<Record<string, unknown>>,
  }
  if ((params.query === undefined) === (params.documentId === undefined))
    throw malformed('it holds a "query" or a "documentId", one of them')
  return params
}

/**
 * Reads the query string of a request, in which the variables are JSON.
 * @throws GraphqlRefusal `request-malformed`
 */
export function readQueryString(given: unknown): GraphqlParams {
  const { variables, ...rest } = isRecord(given) ? given : {}
  return readParams({ ...rest, ...(variables !== undefined && { variables: fromJson(variables) }) })
}

function fromJson(text: unknown): unknown {
  try {
    return JSON.parse(String(text))
  } catch {
    throw malformed('"variables" is no JSON')
  }
}

function textOf(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || value === '') throw malformed(`"${name}" is no text`)
  return value
}

function malformed(reason: string): GraphqlRefusal {
  return new GraphqlRefusal('request-malformed', `The request is not as GraphQL over HTTP has it: ${reason}.`)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
