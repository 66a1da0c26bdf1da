import type { PlannedExposure } from '#plan/plan.ts'
import { edgeOf, foreignTraceHeaders, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { problems } from '../problems.ts'
import { receiveMsMax } from '../receiving.ts'
import { addFilter, envoyFilter, mergeManager, mergeRoutes, typed } from './config.ts'
import { requestBounds } from './http.ts'
import { exposedHost } from './limits.ts'
import { authorityRegex, pathsRegex } from './match.ts'
import { duration, nameOf, type Spec } from './objects.ts'

/**
 * What the Gateway does beyond what the Gateway API can say: strangers are bounded, trusted with nothing, and answered in
 * problem documents. Whatever the mesh's own default, nothing is tried twice in their name: a retry is for an edge to declare.
 */
export function edge(site: Site, exposures: readonly PlannedExposure[]): readonly Manifest[] {
  if (exposures.length === 0) return []
  const where = { context: 'GATEWAY' } as const
  const patches = [mergeManager(where, strangers(site, receiveMsMax(exposures))), mergeRoutes('GATEWAY', neverRetried)]
  return [
    envoyFilter(site, { gateway: edgeOf(site).gateway }, { name: 'edge', owner: site.system, priority: 10, patches }),
  ]
}

/**
 * Holds a request at the Gateway until it is whole, so that none larger than its exposure allows gets further: 413. A
 * stream would be held back until its end; its size is bounded by the application's own message limit.
 */
export function bodyLimit(site: Site, exposure: PlannedExposure): readonly Manifest[] {
  const { name, service, bodyBytesMax, methods } = exposure
  const whole = methods.filter((method) => !method.streaming)
  if (bodyBytesMax === null || whole.length === 0) return []
  const host = exposedHost(site, exposure)
  const requests = [
    ...(host === '*' ? [] : [header(':authority', authorityRegex(host))]),
    header(':path', pathsRegex(whole.map((method) => method.path))),
  ]
  const filter = { name: nameOf(name, service, 'body'), owner: service, priority: 20 }
  const patches = [addFilter({ context: 'GATEWAY' }, onlyFor(requests, name, buffer(bodyBytesMax)))]
  return [envoyFilter(site, { gateway: edgeOf(site).gateway }, { ...filter, patches })]
}

/** No header of an answer is on this empty list, so no answer is a reason to try again. A number of 0 would not be merged. */
const neverRetried: Spec = { retry_policy: { retry_on: 'retriable-headers' } }

function strangers(site: Site, receiveMs: number): Spec {
  return {
    use_remote_address: true,
    early_header_mutation_extensions: [withoutInternals(site)],
    request_timeout: duration(receiveMs),
    stream_idle_timeout: '60s',
    ...requestBounds({ idle_timeout: '60s' }),
    http2_protocol_options: {
      max_concurrent_streams: 100,
      initial_stream_window_size: 64 * 1024,
      initial_connection_window_size: 1024 * 1024,
    },
    local_reply_config: problems,
  }
}

/** What strangers say in the proxies' own words is dropped before anything reads it. */
function withoutInternals(site: Site): Spec {
  const foreign = foreignTraceHeaders(site).map((remove) => ({ remove }))
  return {
    name: 'envoy.http.early_header_mutation.header_mutation',
    typed_config: typed('extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation', {
      mutations: [{ remove_on_match: { key_matcher: { prefix: 'x-envoy-' } } }, ...foreign],
    }),
  }
}

function buffer(bytesMax: number): Spec {
  return {
    name: 'envoy.filters.http.buffer',
    typed_config: typed('extensions.filters.http.buffer.v3.Buffer', { max_request_bytes: bytesMax }),
  }
}

/** A filter that is skipped for every other request than those meant. */
function onlyFor(requests: readonly Spec[], name: string, extension_config: Spec): Spec {
  const [first] = requests
  const predicate = requests.length > 1 ? { and_matcher: { predicate: requests } } : first
  const skip = { name: 'skip', typed_config: typed('extensions.filters.common.matcher.action.v3.SkipFilter') }
  return {
    name: `parley.body.${name}`,
    typed_config: typed('extensions.common.matching.v3.ExtensionWithMatcher', {
      extension_config,
      xds_matcher: {
        matcher_list: { matchers: [{ predicate: { not_matcher: predicate }, on_match: { action: skip } }] },
      },
    }),
  }
}

function header(header_name: string, regex: string): Spec {
  const input = { name: 'header', typed_config: typed('type.matcher.v3.HttpRequestHeaderMatchInput', { header_name }) }
  return { single_predicate: { input, value_match: { safe_regex: { google_re2: {}, regex } } } }
}
