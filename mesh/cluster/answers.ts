import type { ApiResponse, Connection } from './connection.ts'
import { ClusterError } from './failure.ts'

/** What the API server says of a request that it did not do. */
export function messageOf({ status, body }: ApiResponse): string {
  if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message)
  const text = typeof body === 'string' ? body.trim() : ''
  return text || `HTTP ${status}`
}

/** What was asked: for the message of a refusal. */
export type Asked = { readonly verb: string; readonly resource: string; readonly namespace: string | undefined }

/** The error of an answer that is none of the expected ones. */
export function refusal(connection: Pick<Connection, 'context'>, asked: Asked, answer: ApiResponse): ClusterError {
  const { verb, resource, namespace } = asked
  const where = namespace ? ` in the namespace ${namespace}` : ''
  const said = messageOf(answer)
  switch (answer.status) {
    case 401:
      return new ClusterError(
        'UNAUTHENTICATED',
        `The API server of ${connection.context} does not know who you are: ${said}.\nLog in again, or choose another context with --context.`,
      )
    case 403:
      // A refusal by an admission plugin, such as Pod Security, comes with 403 too; no right would help.
      return /cannot \w+ resource/.test(said)
        ? new ClusterError(
            'FORBIDDEN',
            `You may not ${verb} ${resource}${where} on ${connection.context}${userIn(said)}.\nAsk for that right (kubectl auth can-i ${verb} ${resource}${namespace ? ` -n ${namespace}` : ''}), or use another context.`,
          )
        : new ClusterError('INVALID', `${connection.context} refuses to ${verb} ${resource}${where}: ${said}`)
    case 409:
      return new ClusterError('CONFLICT', `${resource}${where} is being changed by somebody else: ${said}`)
    case 429:
    case 502:
    case 503:
    case 504:
      return new ClusterError(
        'UNREACHABLE',
        `The API server of ${connection.context} could not ${verb} ${resource}${where}: ${said}\nRun it again when the server is well.`,
      )
    case 500:
      return new ClusterError(
        'INVALID',
        `The API server of ${connection.context}, or a webhook that it asks, fails to ${verb} ${resource}${where}: ${said}`,
      )
    default:
      return new ClusterError('INVALID', `${connection.context} refuses to ${verb} ${resource}${where}: ${said}`)
  }
}

function userIn(said: string): string {
  const user = said.match(/User "([^"]+)"/)?.[1]
  return user ? ` as ${user}` : ''
}
