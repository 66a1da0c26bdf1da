import type { RateLimit } from '#graph/policy.ts'
import type { PlannedExposure, PlannedRetry } from '#plan/plan.ts'
import { type Config, duration, extension, typed } from './config.ts'
import { retryBudget } from './retries.ts'

/** HTTP/2 windows: enough for a request at once, small enough that a slow reader holds little memory. */
const windows = { initial_stream_window_size: 64 * 1024, initial_connection_window_size: 1024 * 1024 }

/** HTTP/2 towards callers; `streamsMax` is what one connection may have under way. */
export function http2Limits(streamsMax: number): Config {
  return { max_concurrent_streams: Math.max(100, streamsMax), ...windows }
}

/** HTTP/2 towards a callee, which is asked for a sign of life when it has been silent while something is under way. */
export const http2Upstream: Config = {
  ...windows,
  connection_keepalive: { interval: '10s', timeout: '3s', connection_idle_interval: '10s' },
}

/** What one caller may have under way at one callee, over HTTP/2; what exceeds it is refused at once. */
export function concurrency(limits: Limits, retries: readonly (PlannedRetry | null)[]): Config {
  const { concurrentMax, pendingMax } = limits
  return { thresholds: [{ max_requests: concurrentMax, max_pending_requests: pendingMax, ...retryBudget(retries) }] }
}

/** The same for HTTP/1.1 and TCP, where each call has a connection to itself; what exceeds it waits, up to `pendingMax`. */
export function connections(limits: Limits, retry: PlannedRetry | null): Config {
  const { concurrentMax, pendingMax } = limits
  return { thresholds: [{ max_connections: concurrentMax, max_pending_requests: pendingMax, ...retryBudget([retry]) }] }
}

type Limits = { readonly concurrentMax: number; readonly pendingMax: number }

/** The rate that a service takes from all its callers together; beyond it RESOURCE_EXHAUSTED, or 429. */
export function serviceRate(limit: RateLimit): Config {
  return localRateLimit('inbound', bucket(limit))
}

/** The rate that each exposure takes from outside, told apart by its routes; what no exposure has shares their sum. */
export function edgeRate(exposures: readonly PlannedExposure[]): readonly Config[] {
  if (exposures.every((exposure) => exposure.rateLimit === null)) return []
  const limited = exposures.map(({ name, rateLimit }) => ({ name, rateLimit: rateLimit ?? unlimited }))
  const sum = (pick: (limit: RateLimit) => number) =>
    exposures.reduce((all, { rateLimit }) => all + (rateLimit ? pick(rateLimit) : 0), 0)
  const others = bucket({ perSecond: sum((limit) => limit.perSecond), burst: sum((limit) => limit.burst) })
  const descriptors = limited.map(({ name, rateLimit }) => ({
    entries: [{ key: 'exposure', value: name }],
    token_bucket: bucket(rateLimit),
  }))
  return [
    localRateLimit('edge', others, {
      ...withClients(exposures, descriptors),
      always_consume_default_token_bucket: false,
      enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
      response_headers_to_add: [{ header: { key: 'retry-after', value: '1' } }],
    }),
  ]
}

/** Buckets of single clients beside those of all: an entry without a value is one bucket a value, for as many as are remembered. */
function withClients(exposures: readonly PlannedExposure[], descriptors: readonly Config[]): Config {
  const limited = exposures.flatMap(({ name, rateLimit }) =>
    rateLimit?.perClient ? [{ name, perClient: rateLimit.perClient }] : [],
  )
  if (limited.length === 0) return { descriptors, rate_limits: [{ actions: [exposureAction] }] }
  return {
    descriptors: [
      ...descriptors,
      ...limited.map(({ name, perClient }) => ({
        entries: [{ key: 'exposure', value: name }, { key: 'masked_remote_address' }],
        token_bucket: bucket(perClient),
      })),
    ],
    rate_limits: [{ actions: [exposureAction] }, { actions: [exposureAction, clientAction] }],
    max_dynamic_descriptors: Math.max(...limited.map(({ perClient }) => perClient.clientsMax)),
  }
}

/** What a route carries to count towards its exposure's rate. */
export function edgeDescriptor(exposure: PlannedExposure): Config {
  return { filter_metadata: { parley: { exposure: exposure.name } } }
}

/** More than a sidecar can pass on: for an exposure without a bound beside one that has it. */
const unlimited: RateLimit = { perSecond: 1_000_000, burst: 1_000_000 }

const exposureAction: Config = {
  metadata: {
    descriptor_key: 'exposure',
    metadata_key: { key: 'parley', path: [{ key: 'exposure' }] },
    source: 'ROUTE_ENTRY',
  },
}

/** A client is its address, of IPv6 the part that is one household's. */
const clientAction: Config = { masked_remote_address: { v4_prefix_mask_len: 32, v6_prefix_mask_len: 64 } }

/** Holds a request back until it is whole, so that none larger than its exposure allows reaches the application: 413. */
export const bodyFilter: Config = {
  ...extension('envoy.filters.http.buffer', 'extensions.filters.http.buffer.v3.Buffer', { max_request_bytes: 1 }),
  disabled: true,
}

/** The size that one exposure's routes take. */
export function bodyLimit(exposure: PlannedExposure): Config {
  if (exposure.bodyBytesMax === null) return {}
  return {
    'envoy.filters.http.buffer': typed('extensions.filters.http.buffer.v3.BufferPerRoute', {
      buffer: { max_request_bytes: exposure.bodyBytesMax },
    }),
  }
}

/** Tokens are whole: less than one a second is one every so many seconds. */
function bucket({ perSecond, burst }: RateLimit): Config {
  const fill =
    perSecond < 1
      ? { tokens_per_fill: 1, fill_interval: duration(Math.round(1_000 / perSecond)) }
      : { tokens_per_fill: Math.round(perSecond), fill_interval: '1s' }
  return { max_tokens: burst, ...fill }
}

function localRateLimit(statPrefix: string, tokenBucket: Config, more: Config = {}): Config {
  const always = { default_value: { numerator: 100, denominator: 'HUNDRED' } }
  return extension('envoy.filters.http.local_ratelimit', 'extensions.filters.http.local_ratelimit.v3.LocalRateLimit', {
    stat_prefix: statPrefix,
    token_bucket: tokenBucket,
    filter_enabled: always,
    filter_enforced: always,
    rate_limited_as_resource_exhausted: true,
    ...more,
  })
}
