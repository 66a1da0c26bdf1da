import type { ServerResponse } from 'node:http'
import swagger from '@fastify/swagger'
import { type FastifyError, type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { descriptionPath, type RestApi } from '#graph/api.ts'
import type { ExposedApi, ServiceNode } from '#graph/service.ts'
import { type Address, clearSocket, listenOptions, protectSocket } from '../app/address.ts'
import type { Closable } from '../app/admin.ts'
import type { App } from '../app/lifecycle.ts'
import { ServiceError } from '../errors.ts'
import { isNotModified } from './conditional.ts'
import { describeUnversioned, operationOf } from './description.ts'
import { type EventStreams, eventStreams, type ServerEvent } from './events.ts'
import { invalidRequest } from './invalid-request.ts'
import type { JsonSchema, JsonType } from './json-schema.ts'
import { HttpRefusal, httpProblem, type Problem, problemOf } from './problem.ts'
import { sendProblem } from './problem-answer.ts'
import { fastifyPath, matchesTemplate, type PathParams } from './route-template.ts'
import { askedPathOf, type Exchange, exchangeOf, inContextOf, observe, pathOf, within } from './stack.ts'
import { type Translated, type Translation, translated } from './translation.ts'
import { answerBadPath, answerNoHttp } from './unreadable.ts'
import { ofVersion, refusedVersion, versionHooks } from './version-hooks.ts'
import { type ServedRoute, servedRoutes, versionMediaTypes, versionRewriter, versionsWith } from './versions.ts'

/** A request that passed its schema. Header names are in lower case. */
export type RestRequest<R extends string, Body> = {
  readonly params: PathParams<R>
  readonly query: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: JsonType<Body>
  /** The path as the client wrote it, in the style in which it says versions. */
  readonly path: string
  readonly signal: AbortSignal
}

/**
 * An answer. `body` is written as JSON, a stream of events as it comes; without one the answer is empty. A client that has
 * the answer with this `etag` already is told so (304), without the body.
 */
export type RestResponse = {
  readonly status: number
  readonly body?: unknown
  /** Instead of a body, of a route that the declaration names in `streams`. */
  readonly events?: AsyncIterable<ServerEvent>
  readonly headers?: Readonly<Record<string, string>>
}

/** What answers a route, and what the OpenAPI document says of it. */
export type RestRoute<R extends string, Body> = {
  readonly summary?: string
  readonly body?: Body & JsonSchema
  readonly headers?: JsonSchema
  readonly query?: JsonSchema
  /** The bodies of answers by status, for the document only. */
  readonly responses?: Readonly<Record<number, JsonSchema>>
  /** How it differs in older versions, each from the next newer one. Handlers speak the newest alone. */
  readonly versions?: Readonly<Record<string, Translation>>
  readonly handler: (request: RestRequest<R, Body>) => Promise<RestResponse>
}

type Routes<A extends RestApi, Bodies> = {
  readonly [K in keyof Bodies]: RestRoute<K extends keyof A['routes'] ? A['routes'][K] : never, Bodies[K]>
} & { readonly [K in Exclude<keyof Bodies, keyof A['routes']>]: never }

/** What bounds a request; an `exposure` of the declaration has these fields. */
export type RestBounds = {
  readonly deadlineMs: number
  readonly bodyBytesMax: number | null
  /** The life of an answer that streams. Default: 15 min. */
  readonly streamDeadlineMs?: number
}

const bodyBytesMaxDefault = 1024 * 1024
/** Up to here all mistakes of a body are told at once; in larger ones the first, or a wrong array would cost a hundred times its size. */
const allErrorsBytesMax = 64 * 1024
/** The life of an answer that streams, where nothing else is declared. */
export const streamMsDefault = 900_000
/** Answers that stream at once, so that they do not take what calls with one answer need. */
export const streamsMax = 300
/** What bounds a request where nothing else is declared: 10 s, 1 MiB. */
export const boundsDefault: RestBounds = { deadlineMs: 10_000, bodyBytesMax: bodyBytesMaxDefault }

/**
 * Serves a REST interface that the node exposes where `PARLEY_LISTEN` says: every declared route has a handler, and there is
 * no other beside `GET /openapi.json` and the same under its name (`descriptionPath`). Whatever goes wrong is answered with a problem document (RFC 9457). An interface with
 * versions is served in each of them, however a request says which (`versionRewriter`); handlers speak the newest.
 */
export async function restServer<
  S extends ServiceNode,
  A extends RestApi & ExposedApi<S>,
  const Bodies extends { [K in keyof A['routes']]: unknown },
>(app: App<S>, api: A, routes: Routes<A, Bodies>, bounds: RestBounds = boundsDefault): Promise<Closable> {
  const address = app.configuration.listen
  if (!address) throw new Error(`${app.node.name} exposes nothing, so it cannot serve REST: declare it in "exposes"`)
  const server = createServer(api, bounds)
  const streamMs = bounds.streamDeadlineMs ?? streamMsDefault
  const streams = eventStreams(app, streamsMax)
  const served = servedRoutes(api)
  const streaming = new Set(
    served.filter(({ name }) => api.streams?.includes(name)).map(({ template }) => fastifyPath(template)),
  )
  observe(server, ({ routeOptions }) => (streaming.has(routeOptions.url ?? '') ? streamMs : bounds.deadlineMs))
  answerProblems(server, api, app)
  const info = { title: api.name, version: app.configuration.version }
  await server.register(swagger, {
    openapi: { openapi: '3.1.0', info },
    transformObject: (document) => describeUnversioned(document, api),
  })
  for (const one of served) {
    const route = (routes as Readonly<Record<string, RestRoute<string, unknown>>>)[one.name]
    if (!route) throw new Error(`${api.name} has no handler for ${one.name}: give one to restServer()`)
    addRoute(server, api, one, route, streams)
  }
  for (const path of ['/openapi.json', descriptionPath(api)]) {
    server.get(path, { schema: { hide: true } }, () => server.swagger())
  }
  return listen(server, address)
}

/** How often a server that closes looks whether somebody is still to be answered. */
const drainLookMs = 20

/** Opens the server where `PARLEY_LISTEN` says, for this user alone. Closing lets requests under way finish, and waits for nothing else. */
export async function listen(server: FastifyInstance, address: Address): Promise<Closable> {
  const underWay = new Set<ServerResponse>()
  server.server.on('request', (_request, response) => {
    underWay.add(response)
    response.once('close', () => underWay.delete(response))
  })
  clearSocket(address)
  await server.listen(listenOptions(address))
  protectSocket(address)
  return { close: () => drain(server, underWay) }
}

/**
 * A server of Node that closes no longer looks after connections that are kept for another request, nor after those on which one
 * has come in part: it would wait for their clients without end.
 */
async function drain(server: FastifyInstance, underWay: ReadonlySet<ServerResponse>): Promise<void> {
  const lateAtMs = performance.now() + server.server.requestTimeout
  const looking = setInterval(() => {
    if (underWay.size === 0 || performance.now() > lateAtMs) server.server.closeAllConnections()
  }, drainLookMs)
  try {
    await server.close()
  } finally {
    clearInterval(looking)
  }
}

/** A server of fastify with the kit's bounds, that converts and drops nothing behind a client's back. */
export function createServer(api: RestApi, { deadlineMs, bodyBytesMax }: RestBounds): FastifyInstance {
  const bytesMax = bodyBytesMax ?? bodyBytesMaxDefault
  const rewrite = versionRewriter(api, Date.now)
  const server = fastify({
    logger: false,
    rewriteUrl: ({ method: verb = '', url = '/', headers }) => rewrite({ verb, url, headers }),
    frameworkErrors: answerBadPath,
    // What is not declared is not served, and a stream that nobody hears would be read to its last day.
    exposeHeadRoutes: false,
    clientErrorHandler: answerNoHttp,
    bodyLimit: bytesMax,
    // A client that sends slowly holds its connection no longer than its request may take.
    requestTimeout: deadlineMs,
    forceCloseConnections: 'idle',
    // A request that arrives on an open connection while the server drains is answered, not refused.
    return503OnClosing: false,
    // A wrong type is the client's mistake: it is told, and nothing is converted or dropped behind its back.
    ajv: {
      // Verbose for the descriptions of what was refused; what was given is not repeated to its sender.
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        allErrors: bytesMax <= allErrorsBytesMax,
        verbose: true,
      },
    },
  })
  // Schemas of answers are documentation: a field that one forgets is still sent.
  server.setSerializerCompiler(() => (data) => JSON.stringify(data))
  // JSON alone: a page of somebody else may send plain text in its reader's name, without being asked whether it may.
  server.removeContentTypeParser('text/plain')
  if (api.versions) {
    const parse = server.getDefaultJsonParser('error', 'error')
    server.addContentTypeParser(versionMediaTypes(api), { parseAs: 'string' }, parse)
  }
  return server
}

function addRoute(
  server: FastifyInstance,
  api: RestApi,
  served: ServedRoute,
  route: RestRoute<string, unknown>,
  streams: EventStreams,
): void {
  const { name, verb, template, version } = served
  const { summary, headers, query, handler } = route
  const own = inVersion(api, served, route)
  const schema = {
    ...operationOf(api, served),
    ...(summary && { summary }),
    ...(own.body && { body: own.body }),
    ...(headers && { headers }),
    ...(query && { querystring: query }),
    ...(Object.keys(own.responses).length > 0 && { response: own.responses }),
  }
  server.route({
    method: verb as 'GET',
    url: fastifyPath(template),
    schema,
    ...(version !== null && versionHooks(api, name, version, Date.now)),
    async handler(request, reply) {
      const exchange = exchangeOf(request)
      const { query, headers, body } = request as Pick<RestRequest<string, unknown>, 'query' | 'headers' | 'body'>
      const params = { ...(request.params as object), ...(version !== null && { version }) }
      const { signal } = exchange.timer
      const asked = { params, query, headers, body: own.request(body), path: askedPathOf(request), signal }
      const answer = await within(exchange, () => handler(asked)).catch((thrown) => Promise.reject(own.error(thrown)))
      const told = { ...answer, headers: ofVersion(answer.headers, version) }
      reply.code(told.status).headers(told.headers)
      if (isNotModified(verb, headers['if-none-match'], told)) return reply.code(304).send()
      return answer.events
        ? streams.send(reply, own.events(answer.events), exchange)
        : reply.send(own.answer(answer.body))
    },
  })
}

/** What a route is in one version: the newest as handlers speak it, an older one by its translations. */
function inVersion(api: RestApi, { name, version }: ServedRoute, route: RestRoute<string, unknown>): Translated {
  const all = versionsWith(api, name)
  const older = version === null ? [] : all.slice(all.indexOf(version), -1)
  const { body, responses, versions = {} } = route
  const newest = { ...(body && { body }), ...(responses && { responses }) }
  return translated(
    older.map((each) => versions[each] ?? {}),
    newest,
  )
}

/** Turns whatever goes wrong into a problem document; `hint` tells who is lost where to look. */
export function answerProblems(
  server: FastifyInstance,
  api: RestApi,
  app: App,
  hint = 'GET /openapi.json tells what there is.',
): void {
  server.setErrorHandler((thrown: unknown, request, reply) => {
    const exchange = exchangeOf(request)
    const problem = problemFor(thrown, request, exchange)
    // Of a request that broke off nobody is left to be told, and it is no fault of ours.
    if (problem.code === 'internal' && !request.raw.readableAborted) {
      // Logged within the request, so that the line carries its ids.
      inContextOf(exchange, () => app.log.error(`${request.method} ${pathOf(request)} failed.`, { error: thrown }))
    }
    return sendProblem(reply, problem)
  })
  server.setNotFoundHandler((request, reply) => {
    const path = pathOf(request)
    const where = { instance: askedPathOf(request), correlationId: exchangeOf(request).correlationId }
    const refused = refusedVersion(api, path, where, Date.now())
    if (refused) return sendProblem(reply, refused)
    const verbs = servedRoutes(api)
      .filter(({ template }) => matchesTemplate(template, path))
      .map(({ verb }) => verb)
    if (verbs.length === 0)
      return sendProblem(reply, httpProblem('route-not-found', `There is no ${where.instance}. ${hint}`, where))
    reply.header('allow', verbs.join(', '))
    return sendProblem(
      reply,
      httpProblem('method-not-allowed', `${where.instance} takes ${verbs.join(', ')}, not ${request.method}.`, where),
    )
  })
}

function problemFor(thrown: unknown, request: FastifyRequest, { correlationId }: Exchange): Problem {
  const where = { instance: askedPathOf(request), correlationId }
  const error = thrown as Partial<FastifyError>
  if (thrown instanceof HttpRefusal) return httpProblem(thrown.code, thrown.message, where)
  if (error.validation) return problemOf(invalidRequest(error as FastifyError), where)
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return httpProblem('body-too-large', 'Send a smaller body.', where)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE':
      return httpProblem('unsupported-media-type', 'Send the body as application/json.', where)
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return httpProblem('malformed-json', String(error.message), where)
    default:
      // Everything else that fastify refuses by itself is the client's mistake; what a handler throws has no such status.
      if (error.code?.startsWith('FST_') && (error.statusCode ?? 500) < 500) {
        return httpProblem('malformed-request', String(error.message), where)
      }
      return problemOf(ServiceError.from(thrown), where)
  }
}
