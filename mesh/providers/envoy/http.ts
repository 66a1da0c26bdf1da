import type { Protocol } from '#plan/plan.ts'
import { type Config, duration, extension, typed, watchedFile } from './config.ts'
import type { EnvoySite } from './site.ts'

/** What differs between the listeners that speak HTTP. */
export type HttpSpec = {
  readonly statPrefix: string
  readonly codec: 'AUTO' | 'HTTP1' | 'HTTP2'
  /** The filters in order, without the router, which is last. */
  readonly filters: readonly Config[]
  /** A route configuration, or the name of the file that holds it. */
  readonly routes: Config | string
  readonly http2: Config
  /** What only this listener needs. */
  readonly more?: Config
}

/**
 * The connection manager that every HTTP listener is made of: paths are normalised before anything looks at them, header
 * names with underscores are refused (two names could mean one), and everything has a bound. No address counts as
 * internal (Envoy's default), so headers with which a caller would command the proxy to retry or to wait are dropped.
 */
export function httpFilter(site: EnvoySite, spec: HttpSpec): Config {
  return extension(
    'envoy.filters.network.http_connection_manager',
    'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: spec.statPrefix,
      codec_type: spec.codec,
      http_filters: [...spec.filters, router],
      ...routesOf(site, spec.routes),
      http2_protocol_options: spec.http2,
      common_http_protocol_options: connectionBounds(),
      max_request_headers_kb: 32,
      request_headers_timeout: '5s',
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'REJECT_REQUEST',
      server_header_transformation: 'PASS_THROUGH',
      generate_request_id: false,
      skip_xff_append: true,
      ...spec.more,
    },
  )
}

/** The bounds of one connection from a caller; header names with underscores are refused. */
export function connectionBounds(idleMs = 300_000, more: Config = {}): Config {
  return {
    idle_timeout: duration(idleMs),
    max_headers_count: 64,
    headers_with_underscores_action: 'REJECT_REQUEST',
    ...more,
  }
}

/** The last filter. Statistics by status would be kept on every call and say 200 for whatever gRPC answers, so they are not. */
const router: Config = extension('envoy.filters.http.router', 'extensions.filters.http.router.v3.Router', {
  dynamic_stats: false,
  suppress_envoy_headers: true,
})

/** An HTTP/2 or HTTP/1.1 cluster's protocol. */
export function upstreamProtocol(protocol: 'http2' | 'http1', options: Config, common: Config = {}): Config {
  const explicit = protocol === 'http2' ? { http2_protocol_options: options } : { http_protocol_options: options }
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
        'extensions.upstreams.http.v3.HttpProtocolOptions',
        { explicit_http_config: explicit, common_http_protocol_options: { idle_timeout: '300s', ...common } },
      ),
    },
  }
}

/**
 * How much earlier than a gRPC caller its sidecar gives up, in milliseconds. Whoever is first decides what is known: a
 * call that the caller cancels says nothing of the callee, one that runs out here counts as its failure.
 */
const earlierMs = 10

/** The header in which a REST callee reads how long its answer is waited for; gRPC has its own. */
const timeoutHeader = 'x-parley-timeout-ms'

/** A route's timeout, for gRPC and REST alike: the caller's own where that is shorter. */
export function deadline(ms: number, protocol: Protocol): Config {
  if (protocol === 'http') return { timeout: duration(ms) }
  // `max_grpc_timeout` is the older of Envoy's two ways. The newer one ends the stream beside the router, so a callee that
  // hangs would never count towards the breaker, and the callee would not be told what is left of the time.
  return { timeout: duration(ms), max_grpc_timeout: duration(ms), grpc_timeout_offset: duration(earlierMs) }
}

/** How much longer than declared a proxy lets a stream live; see `streamLife`. */
const laterMs = 1_000

/**
 * A stream's life and silence. The caller ends it at its deadline by its own clock, and knows then that its time was up; what
 * a proxy cuts in the middle looks like a failure, so it is later, for callers without a clock. A callee that sends no
 * sign of life at all within that time counts as failed, one that was only silent does not.
 */
export function streamLife(ms: number, idleMs: number): Config {
  return { timeout: duration(ms + laterMs), idle_timeout: duration(idleMs) }
}

/**
 * How long a stranger's gRPC call may take, a stream or not. Whoever is first decides what the stranger is told, and only the
 * application can say in gRPC's words that time is up: it is told the time where the stranger says none, and the proxy is later.
 */
export function grpcLife(ms: number): Config & { readonly route: Config } {
  const header = { key: 'grpc-timeout', value: `${ms}m` }
  return {
    route: { timeout: duration(ms + laterMs) },
    request_headers_to_add: [{ header, append_action: 'ADD_IF_ABSENT' }],
  }
}

/** Tells a REST callee how long it has. `trusted` callers may have said less already; a stranger's word is replaced. */
export function tellTimeout(ms: number, protocol: Protocol, caller: 'trusted' | 'stranger'): Config {
  if (protocol === 'grpc') return {}
  const append_action = caller === 'trusted' ? 'ADD_IF_ABSENT' : 'OVERWRITE_IF_EXISTS_OR_ADD'
  return { request_headers_to_add: [{ header: { key: timeoutHeader, value: String(ms) }, append_action }] }
}

function routesOf(site: EnvoySite, routes: Config | string): Config {
  if (typeof routes !== 'string') return { route_config: routes }
  return {
    rds: { route_config_name: routes, config_source: watchedFile(site.dir, `${routes}.json`) },
  }
}
