import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ErrorCode, ServiceError } from '../errors.ts'

/** What an operator asks of a service. */
export type OperationRequest = {
  readonly verb: 'GET' | 'POST'
  /** What follows the operation's name in the path, such as `['12', 'replay']`. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
  /** The JSON of a POST; an empty object where it has none. */
  readonly body: Readonly<Record<string, unknown>>
}

/** Answers with something that can be written as JSON. A `ServiceError` is answered by its code. */
export type Operation = (request: OperationRequest) => Promise<object>

/** One way to ask an operation, for people: `path` follows its name, with capitals for what is filled in, such as `NUMBER/replay`. */
export type Way = {
  readonly verb: OperationRequest['verb']
  readonly path: string
  /** What it answers or does, in a few words. */
  readonly what: string
}

/** An operation as it is offered. */
export type Offer = { readonly operation: Operation; readonly ways: readonly Way[] }

const bodyBytesMax = 65_536
const statusOf: Partial<Readonly<Record<ErrorCode, number>>> = {
  'invalid-argument': 400,
  'permission-denied': 403,
  'not-found': 404,
  unimplemented: 405,
  conflict: 409,
  'failed-precondition': 409,
  unavailable: 503,
}

/**
 * Answers `/<operation>/…` on the admin address, and `GET /operations` with what there is to ask. Operations change things, so they are for whoever has the process at hand, and not for
 * those who read metrics: over a socket file, or from the same host, as a port-forward comes. A sidecar hands on what came from
 * elsewhere under another address, or is told to let none of it pass.
 */
export async function answerOperation(
  offers: ReadonlyMap<string, Offer>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const url = new URL(request.url ?? '/', 'http://admin')
  const [name = '', ...path] = url.pathname.split('/').slice(1).map(decodeURIComponent)
  const operation = name === 'operations' ? listing(offers) : offers.get(name)?.operation
  if (!operation) return false
  try {
    if (!fromHere(request)) {
      throw new ServiceError('permission-denied', 'Operations are asked on the host itself, such as by a port-forward.')
    }
    const verb = request.method
    if (verb !== 'GET' && verb !== 'POST') throw new ServiceError('unimplemented', `${verb} means nothing here.`)
    const body = verb === 'POST' ? await readJson(request) : {}
    answerJson(response, 200, await operation({ verb, path, query: url.searchParams, body }))
  } catch (thrown) {
    const { code, message } = ServiceError.from(thrown)
    answerJson(response, statusOf[code] ?? 500, { code, message })
  }
  return true
}

function listing(offers: ReadonlyMap<string, Offer>): Operation {
  return async ({ verb, path }) => {
    if (verb !== 'GET' || path.length > 0) throw new ServiceError('unimplemented', 'Ask GET /operations.')
    return { operations: [...offers].map(([name, { ways }]) => ({ name, ways })) }
  }
}

/** The whole of 127.0.0.0/8 is this host, but a sidecar of Istio speaks from 127.0.0.6 for others. */
function fromHere({ socket: { remoteAddress } }: IncomingMessage): boolean {
  return remoteAddress === undefined || ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(remoteAddress)
}

/** Only what says that it is JSON: no page of a browser can send that to another origin unasked. */
async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (!request.headers['content-type']?.startsWith('application/json')) {
    throw new ServiceError('invalid-argument', 'A POST carries JSON: content-type: application/json.')
  }
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) throw new ServiceError('invalid-argument', `The body exceeds ${bodyBytesMax} bytes.`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  try {
    const parsed: unknown = text === '' ? {} : JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed }
  } catch {
    // Said below.
  }
  throw new ServiceError('invalid-argument', 'The body is no JSON object.')
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
