import type { MethodRef, Plan, PlannedExposure, Protocol } from '#plan/plan.ts'
import { problems } from '../problems.ts'
import { receiveMsMax } from '../receiving.ts'
import { address, type Config, duration, extension } from './config.ts'
import { corsFilter, corsPolicy } from './cors.ts'
import { connectionBounds, deadline, grpcLife, httpFilter, streamLife, tellTimeout } from './http.ts'
import { bodyFilter, bodyLimit, edgeDescriptor, edgeRate, http2Limits } from './limits.ts'
import { routeMatch, routePath } from './match.ts'
import { applicationCluster } from './names.ts'
import { routeConfiguration } from './routes.ts'
import type { Endpoint, EnvoySite } from './site.ts'

/** The listener for people outside. What comes in is bounded in size, rate and time before the application sees it. */
export function edgeListener(plan: Plan, service: string, site: EnvoySite, at: Endpoint): Config {
  const exposures = exposuresOf(plan, service)
  // A page must be able to read whatever refuses it, in its own words, so these two stand before all that refuses.
  const filters = [
    ...(exposures.some(({ origins }) => origins.length > 0) ? [corsFilter] : []),
    ...(exposures.some((exposure) => exposure.grpcWeb) ? [grpcWeb] : []),
    ...edgeRate(exposures),
    bodyFilter,
  ]
  return {
    name: 'edge',
    address: address(at),
    per_connection_buffer_limit_bytes: 32 * 1024,
    filter_chains: [
      {
        filters: [
          httpFilter(site, {
            statPrefix: 'edge',
            codec: 'AUTO',
            filters,
            routes: edgeRoutes(plan, service),
            http2: http2Limits(100),
            more: strangers(receiveMsMax(exposures)),
          }),
        ],
      },
    ],
  }
}

/** The routes that outside callers may take: exactly the methods of the exposed interfaces. */
export function edgeRoutes(plan: Plan, service: string): Config {
  const exposures = exposuresOf(plan, service)
  const hosts = [...new Set(exposures.map((exposure) => exposure.host))]
  return routeConfiguration(
    'edge',
    hosts.map((host) => ({
      name: host,
      domains: host === '*' ? ['*'] : [host, `${host}:*`],
      routes: [
        ...hostRoutes(
          protocolOf(plan, service),
          exposures.filter((one) => one.host === host),
        ),
        { match: { prefix: '/' }, direct_response: { status: 404, body: { inline_string: 'There is no such path.' } } },
      ],
    })),
  )
}

/** The exposures of one service, in plan order. */
function exposuresOf(plan: Plan, service: string): readonly PlannedExposure[] {
  return plan.exposures.filter((exposure) => exposure.service === service)
}

const grpcWeb: Config = extension('envoy.filters.http.grpc_web', 'extensions.filters.http.grpc_web.v3.GrpcWeb')

/** How long a stranger's connection or stream may be silent. */
const strangerIdleMs = 60_000

/** What strangers say in the proxies' own words is dropped before anything reads it. */
const withoutInternals: Config = extension(
  'envoy.http.early_header_mutation.header_mutation',
  'extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
  { mutations: [{ remove_on_match: { key_matcher: { prefix: 'x-envoy-' } } }] },
)

/** How strangers are treated: trusted with nothing, answered in problem documents, and not waited for. */
function strangers(receiveMs: number): Config {
  return {
    use_remote_address: true,
    early_header_mutation_extensions: [withoutInternals],
    skip_xff_append: false,
    generate_request_id: true,
    preserve_external_request_id: false,
    request_timeout: duration(receiveMs),
    stream_idle_timeout: duration(strangerIdleMs),
    common_http_protocol_options: connectionBounds(strangerIdleMs),
    local_reply_config: problems,
  }
}

type Offer = { readonly exposure: PlannedExposure; readonly method: MethodRef }

/** What is open on one host; after all of it, for each path, what is said to those who ask otherwise. */
function hostRoutes(protocol: Protocol, exposures: readonly PlannedExposure[]): readonly Config[] {
  const offers = exposures.flatMap((exposure) => exposure.methods.map((method) => ({ exposure, method })))
  const paths = Map.groupBy(offers, ({ method }) => method.path)
  return [
    ...offers.map(({ exposure, method }) =>
      exposure.authentication.kind === 'jwt' ? unverified(method) : methodRoute(exposure, protocol, method),
    ),
    ...[...paths].flatMap(([path, all]) => [
      ...questions(path, all),
      ...(protocol === 'grpc' ? [wrongWire(path, all)] : []),
      wrongVerb(path, all),
    ]),
  ]
}

function protocolOf(plan: Plan, service: string): Protocol {
  const protocol = plan.services.find((candidate) => candidate.name === service)?.protocol
  if (!protocol) throw new Error(`${service} is exposed and offers nothing`)
  return protocol
}

function methodRoute(exposure: PlannedExposure, protocol: Protocol, method: MethodRef): Config {
  const perFilter = {
    ...corsPolicy(exposure),
    // A stream would be held back until its end; its size is bounded by the application's own message limit.
    ...(method.streaming ? {} : bodyLimit(exposure)),
  }
  const { headers, ...path } = routeMatch(method)
  const { route, ...more } = life(exposure, protocol, method)
  return {
    match: { ...path, headers: protocol === 'grpc' ? [...headers, wire(exposure)] : headers },
    route: { cluster: applicationCluster, ...route },
    ...more,
    metadata: edgeDescriptor(exposure),
    ...(Object.keys(perFilter).length > 0 ? { typed_per_filter_config: perFilter } : {}),
  }
}

/** How long one request may take; a silent stream is ended before. */
function life(
  { deadlineMs, streamDeadlineMs }: PlannedExposure,
  protocol: Protocol,
  { streaming }: MethodRef,
): Config & { readonly route: Config } {
  const ms = streaming ? streamDeadlineMs : deadlineMs
  if (protocol === 'grpc') return grpcLife(ms)
  const route = streaming ? streamLife(ms, strangerIdleMs) : deadline(ms, protocol)
  return { route, ...tellTimeout(ms, protocol, 'stranger') }
}

/** What is declared is the one way to speak: gRPC-Web for pages, gRPC for machines. The filter that translates comes after. */
function wire({ grpcWeb }: PlannedExposure): Config {
  const regex = grpcWeb ? 'application/grpc-web.*' : 'application/grpc([+;].*)?'
  return { name: 'content-type', string_match: { safe_regex: { regex } } }
}

/** 404, for gRPC reads it as UNIMPLEMENTED: nobody is let in by a way of speaking that is not declared. */
function wrongWire(path: string, offers: readonly Offer[]): Config {
  const ways = [...new Set(offers.map(({ exposure }) => (exposure.grpcWeb ? 'gRPC-Web' : 'gRPC')))].join(' and by ')
  return {
    match: { path, headers: [{ name: ':method', string_match: { exact: 'POST' } }] },
    direct_response: { status: 404, body: { inline_string: `This method is called by ${ways}.` } },
  }
}

/**
 * What a browser asks before it calls another origin. The filter answers it whatever the origin; it does so only where a route would
 * have led to the application.
 */
function questions(path: string, offers: readonly Offer[]): readonly Config[] {
  const asked = offers.find(({ exposure }) => exposure.origins.length > 0)?.exposure
  if (!asked) return []
  const said = (name: string) => ({ name, string_match: { safe_regex: { regex: '.+' } } })
  const verb = { name: ':method', string_match: { exact: 'OPTIONS' } }
  return [
    {
      match: { ...routePath(path), headers: [verb, said('origin'), said('access-control-request-method')] },
      route: { cluster: applicationCluster, timeout: '1s' },
      metadata: edgeDescriptor(asked),
      typed_per_filter_config: corsPolicy(asked),
    },
  ]
}

function wrongVerb(path: string, offers: readonly Offer[]): Config {
  const allowed = [...new Set(offers.map(({ method }) => method.verb))].join(', ')
  return {
    match: routePath(path),
    direct_response: { status: 405, body: { inline_string: `This path takes ${allowed}.` } },
    response_headers_to_add: [{ header: { key: 'allow', value: allowed } }],
  }
}

/** A local sidecar cannot verify tokens (see `notSupported`), so an exposure that asks for them lets nobody in. */
function unverified(method: MethodRef): Config {
  return {
    match: routeMatch(method),
    direct_response: { status: 501, body: { inline_string: 'Tokens are not verified by a local sidecar.' } },
  }
}
