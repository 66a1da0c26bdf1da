import type { Plan } from '#plan/plan.ts'
import { authorization, identityPrefix } from './authorization.ts'
import { address, type Config, extension, listenSocket } from './config.ts'
import { edgeListener } from './edge.ts'
import { egressOf } from './egress.ts'
import { faultFilter } from './faults.ts'
import { connectionBounds, httpFilter } from './http.ts'
import { http2Limits, serviceRate } from './limits.ts'
import { downstreamTls, noteCaller } from './mtls.ts'
import { applicationAdminCluster, envoyAdminCluster, externalCluster } from './names.ts'
import type { EnvoySite } from './site.ts'

/** Everything on which a service's sidecar listens. A service that nobody may call has no inbound listener at all. */
export function listeners(plan: Plan, service: string, site: EnvoySite): readonly Config[] {
  const called = plan.grants.calls.some((grant) => grant.to === service)
  const calling = plan.links.some((link) => link.from === service) || egressOf(plan, service).length > 0
  return [
    ...(called ? [inbound(plan, service, site)] : []),
    ...(calling ? [outbound(plan, service, site)] : []),
    ...egressOf(plan, service)
      .filter(({ external }) => external.protocol === 'tcp')
      .map(({ external }) => egress(external.name, site)),
    ...(site.edge ? [edgeListener(plan, service, site, site.edge)] : []),
    metrics(site),
  ]
}

/** Mutual TLS from other sidecars, then authorization, then rate, then the application. */
function inbound(plan: Plan, service: string, site: EnvoySite): Config {
  const limit = plan.services.find((candidate) => candidate.name === service)?.rateLimit
  const streams = plan.links.filter((link) => link.to === service).map((link) => link.limits.concurrentMax)
  const filter = httpFilter(site, {
    statPrefix: 'inbound',
    codec: 'HTTP2',
    filters: [authorization(plan, service), ...(limit ? [serviceRate(limit)] : []), faultFilter],
    routes: 'inbound',
    http2: http2Limits(Math.max(...streams)),
    // A connection outlives neither the certificate nor the authority it was opened with by more than this.
    more: { common_http_protocol_options: connectionBounds(300_000, { max_connection_duration: '3600s' }) },
  })
  return {
    name: 'inbound',
    address: address(site.inbound),
    filter_chains: [{ transport_socket: downstreamTls(site, identityPrefix(plan)), filters: [noteCaller, filter] }],
  }
}

/** The application's calls: HTTP/2 or HTTP/1.1 in plain text, over a socket that is its own. */
function outbound(plan: Plan, service: string, site: EnvoySite): Config {
  const limits = [...plan.links, ...plan.egress].filter((edge) => edge.from === service).map((edge) => edge.limits)
  const most = limits.reduce((sum, { concurrentMax, pendingMax }) => sum + concurrentMax + pendingMax, 0)
  const filter = httpFilter(site, {
    statPrefix: 'outbound',
    codec: 'AUTO',
    filters: [faultFilter],
    routes: 'outbound',
    http2: http2Limits(most),
  })
  return {
    name: 'outbound',
    address: listenSocket(site.outboundSocket),
    filter_chains: [{ filters: [filter] }],
  }
}

/** One TCP system outside, as a socket of the application's own. */
function egress(external: string, site: EnvoySite): Config {
  const socket = site.egressSockets[external]
  if (!socket) throw new Error(`the site has no socket for ${external}`)
  return {
    name: `egress/${external}`,
    address: listenSocket(socket),
    filter_chains: [
      {
        filters: [
          extension('envoy.filters.network.tcp_proxy', 'extensions.filters.network.tcp_proxy.v3.TcpProxy', {
            stat_prefix: `egress/${external}`,
            cluster: externalCluster(external),
            idle_timeout: '300s',
          }),
        ],
      },
    ],
  }
}

/** What Prometheus reads. Envoy's administration can do much more, so exactly one of its paths is passed on. */
function metrics(site: EnvoySite): Config {
  const route = (path: string, cluster: string) => ({
    match: { path, headers: [{ name: ':method', string_match: { exact: 'GET' } }] },
    route: { cluster, timeout: '10s' },
  })
  const filter = httpFilter(site, {
    statPrefix: 'metrics',
    codec: 'AUTO',
    filters: [],
    routes: {
      name: 'metrics',
      virtual_hosts: [
        {
          name: 'metrics',
          domains: ['*'],
          routes: [route('/metrics', applicationAdminCluster), route('/stats/prometheus', envoyAdminCluster)],
        },
      ],
    },
    http2: http2Limits(100),
  })
  return {
    name: 'metrics',
    address: address(site.metrics),
    filter_chains: [{ filters: [filter] }],
  }
}
