import { trace } from '@opentelemetry/api'
import CachePolicy from 'http-cache-semantics'
import { apiName, type RestApi } from '#graph/api.ts'
import { resolveCall } from '#graph/defaults.ts'
import type { CalledApi, ServiceNode } from '#graph/service.ts'
import type { App } from '../app/lifecycle.ts'
import { correlationHeader, correlationId, currentSignal, runAsMessage } from '../context.ts'
import { abortable } from '../deadline.ts'
import { isServiceError } from '../errors.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { counter } from '../telemetry/telemetry.ts'
import { type CacheBounds, type CacheStore, type Kept, openCacheStore } from './cache-store.ts'
import { type AnyInput, type RestAnswer, type RestClient, restClient } from './client.ts'
import { pathWithQuery, splitRoute } from './route-template.ts'
import { timeoutHeader } from './stack.ts'

/**
 * A `restClient` that keeps what the callee lets it keep (RFC 9111, as a shared cache: answers for one user alone are not kept).
 * - What is fresh is given without asking; what is stale is asked for again by its entity tag.
 * - Equal requests at once are one request.
 * - Where the callee cannot be had, and the edge declares `fallback`, an old answer is given for as long as its
 *   `stale-if-error` says.
 * - A change of a resource through this client forgets what is kept of it.
 *
 * The header `cache-status` (RFC 9211) of an answer tells which it was. Bodies are shared between callers, so they are frozen.
 */
export function cachingClient<S extends ServiceNode, const A extends RestApi & CalledApi<S>>(
  app: App<S>,
  api: A,
  bounds: CacheBounds = {},
): RestClient<S, A> {
  const cache: Cache = { name: app.node.name, store: openCacheStore(bounds), flights: new Map() }
  const callee = app.configuration.calls[api.name]?.callee ?? api.name
  const calls = Object.entries(restClient(app, api) as unknown as Readonly<Record<string, Call>>)
  const methods = calls.map(([name, call]) => {
    const { verb, template } = splitRoute(api.routes[name] ?? '')
    const route: CachedRoute = { template, callee, call, fallback: hasFallback(app.node, api, name) }
    return [name, (input: AnyInput) => (verb === 'GET' ? read(cache, route, input) : write(cache, route, input))]
  })
  return Object.fromEntries(methods) as RestClient<S, A>
}

type Call = (input: AnyInput) => Promise<RestAnswer>

type Cache = { readonly name: string; readonly store: CacheStore; readonly flights: Map<string, Flight> }

type CachedRoute = {
  readonly template: string
  readonly callee: string
  readonly call: Call
  /** Whether an old answer may stand in for a callee that cannot be had. */
  readonly fallback: boolean
}

type CacheRequest = { readonly method: 'GET'; readonly url: string; readonly headers: Record<string, string> }

/** A request under way. It is its own: whoever waits for it may leave. */
type Flight = { readonly landing: Promise<Landed> }
type Landed = { readonly answer: RestAnswer; readonly outcome: Outcome }

/** How an answer came about, as `cache-status` says it. */
const statusOf = {
  hit: 'hit',
  'stale-while-revalidate': 'hit; detail=stale-while-revalidate',
  revalidated: 'fwd=stale; fwd-status=304',
  miss: 'fwd=miss',
  'stale-if-error': 'hit; detail=stale-if-error',
  collapsed: 'fwd=miss; collapsed',
} as const
type Outcome = keyof typeof statusOf

async function read(cache: Cache, route: CachedRoute, input: AnyInput): Promise<RestAnswer> {
  const request = requestOf(route, input)
  // A caller with conditions of its own wants the callee's answer to them.
  if (Object.keys(request.headers).some((name) => ownConditions.test(name))) return route.call(input)
  const key = keyOf(request)
  const kept = cache.store.get(key)
  const found = kept?.policy.evaluateRequest(request)
  if (kept && found?.response) {
    if (!found.revalidation) return told(cache, route, { answer: answerOf(kept), outcome: 'hit' })
    // Whether it comes or not is the concern of whoever asks after the old one is too old.
    flightTo(cache, route, request, input, kept).landing.catch(() => undefined)
    return told(cache, route, { answer: answerOf(kept), outcome: 'stale-while-revalidate' })
  }
  const joined = cache.flights.get(key)
  const flight = joined ?? flightTo(cache, route, request, input, kept)
  const signal = input.signal ? AbortSignal.any([currentSignal(), input.signal]) : currentSignal()
  const { answer, outcome } = await abortable(signal, flight.landing)
  return told(cache, route, { answer, outcome: joined && outcome === 'miss' ? 'collapsed' : outcome })
}

async function write({ store, flights }: Cache, { template, call }: CachedRoute, input: AnyInput): Promise<RestAnswer> {
  const path = pathWithQuery(template, { params: input.params ?? {} })
  const forget = () => {
    const stale = (key: string) => key.startsWith(`${path}?`) || key.startsWith(`${path}\n`)
    for (const key of store.keys().filter(stale)) store.delete(key)
    // What is under way may have been read before the change: it is not kept.
    for (const key of [...flights.keys()].filter(stale)) flights.delete(key)
  }
  const answer = await call(input).catch((thrown: unknown) => {
    // It may have been done all the same.
    forget()
    throw thrown
  })
  if (answer.status < 400) forget()
  return answer
}

/** The request under way for this key, or a new one: bounded by the edge's deadline, whatever becomes of who asked first. */
function flightTo(cache: Cache, route: CachedRoute, request: CacheRequest, input: AnyInput, kept?: Kept): Flight {
  const key = keyOf(request)
  const running = cache.flights.get(key)
  if (running) return running
  const keep = (next: Kept, bytes: number) => {
    if (cache.flights.get(key) !== flight) return
    if (isWorthKeeping(next)) cache.store.set(key, next, bytes + key.length)
    else cache.store.delete(key)
  }
  const flight: Flight = {
    landing: runAsMessage(correlationId(), () => fetchAnswer(route, request, input, kept, keep)).finally(() => {
      if (cache.flights.get(key) === flight) cache.flights.delete(key)
    }),
  }
  cache.flights.set(key, flight)
  return flight
}

async function fetchAnswer(
  route: CachedRoute,
  request: CacheRequest,
  { signal: _signal, ...input }: AnyInput,
  kept: Kept | undefined,
  keep: (next: Kept, bytes: number) => void,
): Promise<Landed> {
  const stale = kept && route.fallback && mayStandIn(kept, request) ? kept : null
  const headers = kept ? (kept.policy.revalidationHeaders(request) as Record<string, string>) : request.headers
  const answer = await route.call({ ...input, headers }).catch((thrown: unknown) => {
    if (stale && isServiceError(thrown, 'unavailable', 'deadline-exceeded', 'overloaded')) return null
    throw thrown
  })
  if (stale && (answer === null || answer.status >= 500)) return { answer: answerOf(stale), outcome: 'stale-if-error' }
  if (answer === null) throw new Error('a failure without a stand-in was thrown before')
  if (kept && answer.status === 304) {
    const next = { ...kept, policy: kept.policy.revalidatedPolicy(request, answer).policy }
    keep(next, bytesOf(next.body, answer))
    return { answer: answerOf(next), outcome: 'revalidated' }
  }
  const policy = new CachePolicy(request, answer)
  keep({ policy, status: answer.status, body: frozen(answer.body) }, bytesOf(answer.body, answer))
  return { answer, outcome: 'miss' }
}

/** Conditions, ranges and wishes about caches that callers of ours do not have as a rule. */
const ownConditions = /^(if-.*|range|cache-control|pragma)$/

/** What the client adds to each request by itself: an answer that differs by it fits no second request. */
const ofOneRequest = new Set([correlationHeader, timeoutHeader, 'traceparent', 'tracestate'])

function requestOf({ template, callee }: CachedRoute, input: AnyInput): CacheRequest {
  const given = Object.entries(input.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const)
  return {
    method: 'GET',
    url: pathWithQuery(template, {
      ...(input.params && { params: input.params }),
      ...(input.query && { query: input.query }),
    }),
    headers: { ...Object.fromEntries(given), host: callee, accept: 'application/json' },
  }
}

/**
 * The path with its query, and all headers that the caller gave, not only those that `Vary` names: callers give few, and
 * an answer to one language, version or authorization never reaches another.
 */
function keyOf({ url, headers }: CacheRequest): string {
  const given = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return [url, ...given.sort()].join('\n')
}

function isWorthKeeping({ policy }: Kept): boolean {
  const { vary, etag } = policy.responseHeaders()
  const varies = String(vary ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
  if (varies.some((name) => name === '*' || ofOneRequest.has(name))) return false
  return policy.storable() && (policy.timeToLive() > 0 || etag !== undefined)
}

/** Whether the answer may be given though it is stale and its origin fails: `stale-if-error` says so, and nothing forbids it. */
function mayStandIn({ policy }: Kept, request: CacheRequest): boolean {
  const forbidden = /(must|proxy)-revalidate|no-cache|s-maxage/.test(
    String(policy.responseHeaders()['cache-control'] ?? ''),
  )
  return !forbidden && policy.revalidatedPolicy(request, { status: 503, headers: {} }).matches
}

function answerOf({ policy, status, body }: Kept): RestAnswer {
  // The correlation id is that of the request which fetched it.
  const { [correlationHeader]: _fetched, ...headers } = policy.responseHeaders()
  return { status, headers, body }
}

function told({ name }: Cache, { template, callee }: CachedRoute, { answer, outcome }: Landed): RestAnswer {
  const route = { [attribute.urlTemplate]: template, [attribute.serverAddress]: callee }
  const attributes = { ...route, [attribute.cacheOutcome]: outcome }
  counter(metric.httpCacheAnswers).add(1, attributes)
  trace.getActiveSpan()?.addEvent('http cache', attributes)
  return { ...answer, headers: { ...answer.headers, 'cache-status': `${name}; ${statusOf[outcome]}` } }
}

function hasFallback(node: ServiceNode, api: RestApi, method: string): boolean {
  return (node.spec.edges ?? [])
    .filter((edge) => edge.kind === 'calls')
    .some(
      (edge) => apiName(edge.api) === api.name && edge.methods.includes(method) && resolveCall(edge.policy).fallback,
    )
}

function bytesOf(body: unknown, { headers }: RestAnswer): number {
  return Buffer.byteLength(JSON.stringify(body) ?? '') + Buffer.byteLength(JSON.stringify(headers))
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) frozen(part)
  }
  return value
}
