import type { RateLimit } from '#graph/policy.ts'
import type { Egress, Link, PlannedExposure, Protocol } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { problems } from '../problems.ts'
import { gatewayPrincipal } from './authorization.ts'
import { addFilter, envoyFilter, mergeManager, typed } from './config.ts'
import { authorityRegex, pathHeader } from './match.ts'
import { duration, nameOf, type Spec } from './objects.ts'

/** How a connection is opened, and how a callee that vanished without a word is noticed. */
const tcp: Spec = { connectTimeout: '1s', tcpKeepalive: { probes: 3, time: '10s', interval: '3s' } }

/**
 * What one caller may have under way at one callee; what exceeds it is refused at once. Over HTTP/2 the bound on waiting
 * requests is left out: they wait for a connection alone, so a small one would refuse a burst at the first connection.
 */
export function concurrency({ concurrentMax, pendingMax }: Link['limits'], protocol: Protocol): Spec {
  const http = protocol === 'grpc' ? {} : { http1MaxPendingRequests: pendingMax }
  return { tcp, http: { http2MaxRequests: concurrentMax, ...http } }
}

/** The same for a system outside, over HTTP/1.1 or TCP: each call has a connection to itself; what exceeds it waits. */
export function connections({ concurrentMax, pendingMax }: Egress['limits']): Spec {
  return { tcp: { maxConnections: concurrentMax, ...tcp }, http: { http1MaxPendingRequests: pendingMax } }
}

/**
 * What a sidecar passes to its own application, and the Gateway to a service. Node closes an idle HTTP/1.1 connection after
 * 5 s; whoever closes first decides whether a request can be lost.
 */
export function applicationLimits(protocol: Protocol): Spec {
  const http = { http2MaxRequests: 4_096 }
  if (protocol === 'grpc') return { tcp, http }
  return {
    tcp: { maxConnections: 1_024, ...tcp },
    http: { ...http, http1MaxPendingRequests: 1_024, idleTimeout: '4s' },
  }
}

/**
 * The rates that a service takes: each exposure's own from the Gateway, and from all services together the service's.
 * Beyond them 429, as a problem document, or RESOURCE_EXHAUSTED, which is never retried unless declared.
 */
export function rateLimits(site: Site, { service, exposures }: ServiceSlice): readonly Manifest[] {
  if (!service.rateLimit && exposures.every((exposure) => exposure.rateLimit === null)) return []
  const where = { context: 'SIDECAR_INBOUND', port: ports.app } as const
  const documents = service.protocol === 'http' ? [mergeManager(where, { local_reply_config: problems })] : []
  const patches = [addFilter(where, rateFilter(site, service.rateLimit, exposures)), ...documents]
  const name = nameOf(service.name, 'rate')
  return [envoyFilter(site, { service: service.name }, { name, owner: service.name, priority: 10, patches })]
}

/** The host under which an exposure answers on this site. */
export function exposedHost({ settings }: Site, { name, host }: PlannedExposure): string {
  // Not every name that an object answers to was chosen by an owner: `constructor` is a good name for an exposure.
  const chosen = Object.hasOwn(settings.hosts, name) ? settings.hosts[name] : undefined
  return chosen ?? host
}

/** More than a sidecar can pass on: for what has no bound beside something that has. */
const unlimited: RateLimit = { perSecond: 1_000_000, burst: 1_000_000 }

function rateFilter(site: Site, limit: RateLimit | null, exposures: readonly PlannedExposure[]): Spec {
  const always = { default_value: { numerator: 100, denominator: 'HUNDRED' } }
  return {
    name: 'envoy.filters.http.local_ratelimit',
    typed_config: typed('extensions.filters.http.local_ratelimit.v3.LocalRateLimit', {
      stat_prefix: 'inbound',
      token_bucket: bucket(limit ?? unlimited),
      filter_enabled: always,
      filter_enforced: always,
      rate_limited_as_resource_exhausted: true,
      ...(exposures.length > 0 ? byExposure(site, exposures) : {}),
    }),
  }
}

/** A bucket an exposure, and one a client of it; what comes through one does not count towards the service's own. */
function byExposure(site: Site, exposures: readonly PlannedExposure[]): Spec {
  const clients = exposures.flatMap(({ name, rateLimit }) =>
    rateLimit?.perClient ? [{ name, perClient: rateLimit.perClient }] : [],
  )
  const actionOf = (exposure: PlannedExposure): Spec => ({
    header_value_match: {
      descriptor_key: 'exposure',
      descriptor_value: exposure.name,
      headers: [fromIdentity(gatewayPrincipal(site)), ...(exposures.length > 1 ? through(site, exposure) : [])],
    },
  })
  return {
    always_consume_default_token_bucket: false,
    enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
    response_headers_to_add: [{ header: { key: 'retry-after', value: '1' } }],
    descriptors: [
      ...exposures.map(({ name, rateLimit }) => ({
        entries: [{ key: 'exposure', value: name }],
        token_bucket: bucket(rateLimit ?? unlimited),
      })),
      // An entry without a value is one bucket a value, for as many as are remembered.
      ...clients.map(({ name, perClient }) => ({
        entries: [{ key: 'exposure', value: name }, { key: 'masked_remote_address' }],
        token_bucket: bucket(perClient),
      })),
    ],
    rate_limits: [
      ...exposures.map((exposure) => ({ actions: [actionOf(exposure)] })),
      ...exposures
        .filter(({ rateLimit }) => rateLimit?.perClient)
        .map((exposure) => ({ actions: [actionOf(exposure), clientAction] })),
    ],
    ...(clients.length > 0
      ? { max_dynamic_descriptors: Math.max(...clients.map(({ perClient }) => perClient.clientsMax)) }
      : {}),
  }
}

/** A client is the last address in `x-forwarded-for`, which the Gateway wrote there; of IPv6 the part that is one household's. */
const clientAction: Spec = { masked_remote_address: { v4_prefix_mask_len: 32, v6_prefix_mask_len: 64 } }

/** The header in which a sidecar notes whom it verified. What a caller puts there itself stands before it. */
export function fromIdentity(principal: string): Spec {
  return { name: 'x-forwarded-client-cert', string_match: { suffix: `URI=spiffe://${principal}` } }
}

/** What tells requests of one exposure from those of its neighbours: the host, and the paths. */
function through(site: Site, exposure: PlannedExposure): readonly Spec[] {
  const host = exposedHost(site, exposure)
  const authority = { name: ':authority', string_match: { safe_regex: { regex: authorityRegex(host) } } }
  return [...(host === '*' ? [] : [authority]), pathHeader(exposure.methods.map((method) => method.path))]
}

/** Tokens are whole: less than one a second is one every so many seconds. */
function bucket({ perSecond, burst }: RateLimit): Spec {
  const fill =
    perSecond < 1
      ? { tokens_per_fill: 1, fill_interval: duration(Math.round(1_000 / perSecond)) }
      : { tokens_per_fill: Math.round(perSecond), fill_interval: '1s' }
  return { max_tokens: burst, ...fill }
}
