import type { Link, Plan } from '#plan/plan.ts'
import { identityOf } from './authorization.ts'
import { noPanic, outlierDetection } from './breaker.ts'
import { address, type Config } from './config.ts'
import { egressOf, type Reach } from './egress.ts'
import { upstreamProtocol } from './http.ts'
import { concurrency, connections, http2Upstream } from './limits.ts'
import { publicTls, upstreamTls } from './mtls.ts'
import {
  applicationAdminCluster,
  applicationCluster,
  calleeCluster,
  envoyAdminCluster,
  externalCluster,
} from './names.ts'
import type { Endpoint, EnvoySite } from './site.ts'

/** Everything that a service's sidecar opens connections to. */
export function clusters(plan: Plan, service: string, site: EnvoySite): readonly Config[] {
  return [
    ...(isListening(plan, service) ? [application(plan, service, site)] : []),
    unixCluster(applicationAdminCluster, site.appAdminSocket),
    unixCluster(envoyAdminCluster, site.adminSocket),
    ...plan.links.filter((link) => link.from === service).map((link) => callee(plan, link, site)),
    ...egressOf(plan, service).map((reach) => outside(reach, site)),
  ]
}

function isListening(plan: Plan, service: string): boolean {
  return plan.services.some((candidate) => candidate.name === service && candidate.protocol !== null)
}

/**
 * The application itself. It has no breaker: whether it answers is for its callers to judge, each by its own policy, and a
 * sidecar that ejected its only application would refuse everyone for the failures of one.
 */
function application(plan: Plan, service: string, site: EnvoySite): Config {
  const grpc = plan.services.some((candidate) => candidate.name === service && candidate.protocol === 'grpc')
  // Node closes an idle HTTP/1.1 connection after 5 s; whoever closes first decides whether a request can be lost.
  const protocol = grpc ? upstreamProtocol('http2', {}) : upstreamProtocol('http1', {}, { idle_timeout: '4s' })
  return { ...unixCluster(applicationCluster, site.appSocket), ...protocol, circuit_breakers: applicationLimits }
}

const applicationLimits: Config = {
  thresholds: [{ max_connections: 1_024, max_requests: 4_096, max_pending_requests: 1_024, max_retries: 0 }],
}

function callee(plan: Plan, link: Link, site: EnvoySite): Config {
  const endpoint = site.services[link.to]
  if (!endpoint) throw new Error(`the site has no address of ${link.to}, which ${link.from} calls`)
  return {
    ...tcpCluster(calleeCluster(link.to), endpoint),
    ...upstreamProtocol('http2', http2Upstream),
    transport_socket: upstreamTls(site, link.to, identityOf(plan, link.to)),
    outlier_detection: outlierDetection(link.breaker),
    circuit_breakers: concurrency(
      link.limits,
      link.routes.map((route) => route.retry),
    ),
  }
}

function outside({ egress, external }: Reach, site: EnvoySite): Config {
  const endpoint = site.externals[external.name]
  if (!endpoint) throw new Error(`the site has no address of ${external.name}, which ${egress.from} reaches`)
  return {
    ...tcpCluster(externalCluster(external.name), endpoint),
    ...(external.protocol === 'http' ? upstreamProtocol('http1', {}) : {}),
    ...(endpoint.tls ? { transport_socket: publicTls(site, external.host) } : {}),
    outlier_detection: outlierDetection(egress.breaker),
    circuit_breakers: connections(egress.limits, egress.retry),
  }
}

function tcpCluster(name: string, endpoint: Endpoint): Config {
  const numeric = /^[\d.]+$/.test(endpoint.address)
  return {
    ...cluster(name, address(endpoint)),
    type: numeric ? 'STATIC' : 'STRICT_DNS',
    common_lb_config: noPanic,
    upstream_connection_options: {
      tcp_keepalive: { keepalive_probes: 3, keepalive_time: 10, keepalive_interval: 3 },
    },
  }
}

function unixCluster(name: string, path: string): Config {
  return { ...cluster(name, address(path)), type: 'STATIC' }
}

function cluster(name: string, at: Config): Config {
  return {
    name,
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at } }] }],
    },
  }
}
