import type { MethodRef, Plan, PlannedExposure, Protocol } from '#plan/plan.ts'
import { problems } from '../problems.ts'
import { address, type Config, duration, extension, typed } from './config.ts'
import { connectionBounds, deadline, httpFilter, streamLife, tellTimeout } from './http.ts'
import { bodyFilter, bodyLimit, edgeDescriptor, edgeRate, http2Limits } from './limits.ts'
import { routeMatch, routePath } from './match.ts'
import { applicationCluster } from './names.ts'
import { routeConfiguration } from './routes.ts'
import type { Endpoint, EnvoySite } from './site.ts'

/** The listener for people outside. What comes in is bounded in size, rate and time before the application sees it. */
export function edgeListener(plan: Plan, service: string, site: EnvoySite, at: Endpoint): Config {
  const exposures = exposuresOf(plan, service)
  const web = exposures.some((exposure) => exposure.grpcWeb)
  const filters = [...edgeRate(exposures), bodyFilter, ...(web ? [grpcWeb] : [])]
  return typed('config.listener.v3.Listener', {
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
            routes: 'edge',
            http2: http2Limits(100),
            more: strangers(Math.max(...exposures.map((exposure) => exposure.deadlineMs))),
          }),
        ],
      },
    ],
  })
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
        ...exposures.filter((one) => one.host === host).flatMap((one) => exposureRoutes(plan, one)),
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
function strangers(deadlineMsMax: number): Config {
  return {
    use_remote_address: true,
    early_header_mutation_extensions: [withoutInternals],
    skip_xff_append: false,
    generate_request_id: true,
    preserve_external_request_id: false,
    request_timeout: duration(deadlineMsMax),
    stream_idle_timeout: duration(strangerIdleMs),
    common_http_protocol_options: connectionBounds(strangerIdleMs),
    local_reply_config: problems,
  }
}

function exposureRoutes(plan: Plan, exposure: PlannedExposure): readonly Config[] {
  const { methods } = exposure
  const protocol = protocolOf(plan, exposure)
  if (exposure.authentication.kind === 'jwt') return methods.map(unverified)
  const paths = [...new Set(methods.map((method) => method.path))]
  return [
    ...methods.map((method) => methodRoute(exposure, protocol, method)),
    ...paths.map((path) =>
      wrongVerb(
        path,
        methods.filter((method) => method.path === path),
      ),
    ),
  ]
}

function protocolOf(plan: Plan, { name, service }: PlannedExposure): Protocol {
  const protocol = plan.services.find((candidate) => candidate.name === service)?.protocol
  if (!protocol) throw new Error(`${name} exposes ${service}, which offers nothing`)
  return protocol
}

function methodRoute(exposure: PlannedExposure, protocol: Protocol, method: MethodRef): Config {
  const { streamDeadlineMs } = exposure
  const deadlineMs = method.streaming ? streamDeadlineMs : exposure.deadlineMs
  const bound = method.streaming ? streamLife(streamDeadlineMs, strangerIdleMs) : deadline(deadlineMs, protocol)
  return {
    match: routeMatch(method),
    route: { cluster: applicationCluster, ...bound },
    ...tellTimeout(deadlineMs, protocol, 'stranger'),
    metadata: edgeDescriptor(exposure),
    // A stream would be held back until its end; its size is bounded by the application's own message limit.
    ...(method.streaming ? {} : { typed_per_filter_config: bodyLimit(exposure) }),
  }
}

function wrongVerb(path: string, methods: readonly MethodRef[]): Config {
  const allowed = methods.map((method) => method.verb).join(', ')
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
