import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { SpanKind } from '@opentelemetry/api'
import { apiName, type RestApi } from '#graph/api.ts'
import { resolveCall, resolveReach } from '#graph/defaults.ts'
import type { ExternalNode } from '#graph/external.ts'
import type { CalledApi, CalledMethod, ReachedExternal, ServiceNode } from '#graph/service.ts'
import { type Address, connectOptions, formatAddress } from '../app/address.ts'
import type { App } from '../app/lifecycle.ts'
import { correlationHeader, correlationId, currentSignal } from '../context.ts'
import { remainingMs, withDeadline } from '../deadline.ts'
import { type ErrorCode, ServiceError } from '../errors.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { durations, failSpan, injectTrace, inSpan } from '../telemetry/telemetry.ts'
import { type PathParams, pathWithQuery, splitRoute } from './route-template.ts'
import { timeoutHeader } from './stack.ts'

/** What is sent. `params` are needed where the path has any; `body` is written as JSON. */
export type RestInput<R extends string> = {
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Cancels the call, beside the request under way, whose end always does. */
  readonly signal?: AbortSignal
} & (unknown extends PathParams<R> ? unknown : { readonly params: PathParams<R> })

/** What came back: `body` is the parsed JSON, the text where it is none, undefined where there is none. Its shape is not checked. */
export type RestAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
}

type RestCall<R extends string> = (input: RestInput<R>) => Promise<RestAnswer>

/** The routes that a node declared to call, by their names. */
export type RestClient<S extends ServiceNode, A extends RestApi> = {
  readonly [M in CalledMethod<S, A> & keyof A['routes']]: RestCall<A['routes'][M]>
}

/** The routes of an external, by their names. */
export type ExternalClient<E extends ExternalNode> = { readonly [M in keyof E['routes']]: RestCall<E['routes'][M]> }

/**
 * A client for the routes of another service that the node declared to call. Any status is an answer, but those with which
 * the mesh says that nobody could be asked: 429 and 503 are thrown as `overloaded` and `unavailable`, 504 as `deadline-exceeded`.
 */
export function restClient<S extends ServiceNode, const A extends RestApi & CalledApi<S>>(
  app: App<S>,
  api: A,
): RestClient<S, A> {
  const target = app.configuration.calls[api.name]
  if (!target)
    throw new Error(`${app.node.name} does not call ${api.name}: declare calls(${api.name}, […]) in its edges`)
  const edges = (app.node.spec.edges ?? [])
    .filter((edge) => edge.kind === 'calls')
    .filter((edge) => apiName(edge.api) === api.name)
  const methods = edges.flatMap((edge) => {
    const { deadlineMs } = resolveCall(edge.policy)
    const call = { address: target.address, tls: false, host: target.callee, deadlineMs, inside: true }
    return edge.methods.map((name) => [name, caller(api.routes, name, call)])
  })
  return Object.fromEntries(methods) as RestClient<S, A>
}

/** A client for an HTTP external that the node declared to reach; it answers and throws as `restClient` does. */
export function reach<S extends ServiceNode, const E extends ReachedExternal<S> & ExternalNode>(
  app: App<S>,
  external: E,
): ExternalClient<E> {
  const way = app.configuration.reaches[external.name]
  const edges = (app.node.spec.edges ?? []).filter((edge) => edge.kind === 'reaches')
  const edge = edges.find((each) => each.external.name === external.name)
  if (!way || !edge)
    throw new Error(`${app.node.name} does not reach ${external.name}: declare reaches(${external.name}) in its edges`)
  const call = { ...way, host: external.host, deadlineMs: resolveReach(edge).deadlineMs, inside: false }
  const methods = Object.keys(external.routes).map((name) => [name, caller(external.routes, name, call)])
  return Object.fromEntries(methods) as ExternalClient<E>
}

type Target = {
  readonly address: Address
  /** Whether TLS is opened here, with the host's name verified; a sidecar does it otherwise. */
  readonly tls: boolean
  readonly host: string
  readonly deadlineMs: number
  /** Whether the callee is one of ours, which understands our headers. */
  readonly inside: boolean
}

/** What is sent over any route. */
export type AnyInput = RestInput<string> & { readonly params?: Readonly<Record<string, string>> }

function caller(
  routes: Readonly<Record<string, string>>,
  name: string,
  target: Target,
): (input: AnyInput) => Promise<RestAnswer> {
  const declared = routes[name]
  if (declared === undefined)
    throw new Error(`${target.host} has no route ${name}; it has ${Object.keys(routes).join(', ')}`)
  const { verb, template } = splitRoute(declared)
  return (input) =>
    observed(verb, template, target, () =>
      withDeadline(target.deadlineMs, (signal) => {
        const signals = input.signal ? AbortSignal.any([signal, input.signal]) : signal
        return exchange(verb, template, target, input, signals)
      }),
    )
}

const answerBytesMax = 4 * 1024 * 1024
const agents = new Map<string, Agent>()

/** Connections to a sidecar are kept open; how many there may be at once is the mesh's limit, this only bounds the process. */
function agentTo({ address, tls }: Target): Agent {
  const key = `${tls ? 'tls:' : ''}${formatAddress(address)}`
  const agent = agents.get(key) ?? new (tls ? TlsAgent : Agent)({ keepAlive: true, maxSockets: 256 })
  agents.set(key, agent)
  return agent
}

async function exchange(
  verb: string,
  template: string,
  target: Target,
  input: AnyInput,
  signal: AbortSignal,
): Promise<RestAnswer> {
  const { address, host, tls } = target
  const path = pathWithQuery(template, input)
  const body = input.body === undefined ? undefined : JSON.stringify(input.body)
  const headers = { ...input.headers, ...ownHeaders(target, body) }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { ...connectOptions(address), agent: agentTo(target), method: verb, path, headers, signal }
    const request = tls ? httpsRequest({ ...options, servername: host }, resolve) : httpRequest(options, resolve)
    request.on('error', reject).end(body)
  }).catch((thrown: unknown) => Promise.reject(unreachable(thrown, host, signal)))
  const answer = {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: parse(await read(response, host, signal)),
  }
  const refused = refusals[answer.status]
  if (refused) throw new ServiceError(refused, `${host} ${verb} ${template}: ${answer.status}`, { cause: answer.body })
  return answer
}

const refusals: Readonly<Record<number, ErrorCode>> = {
  429: 'overloaded',
  503: 'unavailable',
  504: 'deadline-exceeded',
}

function ownHeaders({ host, inside }: Target, body: string | undefined): Record<string, string> {
  const remaining = remainingMs()
  return {
    host,
    accept: 'application/json',
    [correlationHeader]: correlationId(),
    ...(inside && Number.isFinite(remaining) && { [timeoutHeader]: String(Math.ceil(remaining)) }),
    ...(body !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    }),
    ...injectTrace({}),
  }
}

async function read(response: IncomingMessage, host: string, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > answerBytesMax)
        throw new ServiceError('internal', `${host} answered with more than ${answerBytesMax} bytes.`)
      chunks.push(chunk)
    }
  } catch (thrown) {
    throw thrown instanceof ServiceError ? thrown : unreachable(thrown, host, signal)
  }
  return Buffer.concat(chunks).toString()
}

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The reason of the request's end where that was what broke the connection, otherwise that nobody could be asked. */
function unreachable(thrown: unknown, host: string, signal: AbortSignal): ServiceError {
  if (signal.aborted && signal.reason instanceof ServiceError) return signal.reason
  if (signal.aborted || currentSignal().aborted)
    return new ServiceError('cancelled', 'The caller went away.', { cause: thrown })
  // The cause may hold addresses; the message may be shown outside.
  return new ServiceError('unavailable', `${host} cannot be reached.`, { cause: thrown })
}

async function observed(
  verb: string,
  template: string,
  { host }: Target,
  run: () => Promise<RestAnswer>,
): Promise<RestAnswer> {
  const route = { [attribute.httpMethod]: verb, [attribute.urlTemplate]: template, [attribute.serverAddress]: host }
  const startedMs = performance.now()
  let outcome: Record<string, string | number> = {}
  try {
    return await inSpan(`${verb} ${template}`, { kind: SpanKind.CLIENT, attributes: route }, async (span) => {
      const answer = await run()
      outcome = { [attribute.httpStatus]: answer.status }
      span.setAttributes(outcome)
      if (answer.status >= 400) failSpan(span, new ServiceError('internal', `status ${answer.status}`))
      return answer
    })
  } catch (thrown) {
    outcome = { [attribute.errorType]: ServiceError.from(thrown).code }
    throw thrown
  } finally {
    durations(metric.httpClientDuration).record((performance.now() - startedMs) / 1_000, { ...route, ...outcome })
  }
}
