import type { Plan } from '#plan/plan.ts'
import { clusters } from './clusters.ts'
import { type Config, extension, listenSocket } from './config.ts'
import { listeners } from './listeners.ts'
import type { EnvoySite } from './site.ts'

/** Connections that one sidecar takes from outside and from callers together; further ones are closed at once. */
const connectionsMax = 4_096

/** The statistics that dashboards, alerts and tests read. Each one kept costs on every call, so the others are not. */
const statistics: readonly Config[] = [
  ...[
    'upstream_rq_total',
    'upstream_rq_active',
    'upstream_rq_timeout',
    'upstream_rq_per_try_timeout',
    'upstream_rq_retry',
    'upstream_rq_retry_overflow',
    'upstream_rq_retry_limit_exceeded',
    'upstream_rq_pending_overflow',
    'upstream_cx_active',
    'upstream_cx_connect_fail',
    'upstream_cx_none_healthy',
    'ejections_active',
    'ejections_enforced_total',
    'downstream_rq_total',
    'downstream_rq_active',
    'downstream_cx_active',
    'ssl.handshake',
    'fail_verify_error',
    'fail_verify_no_cert',
    'fail_verify_san',
    'connection_error',
    'rbac.allowed',
    'rbac.denied',
    'rate_limited',
    'aborts_injected',
    'delays_injected',
    'update_success',
    'update_rejected',
  ].map((suffix) => ({ suffix })),
  { safe_regex: { regex: 'http\\..*\\.downstream_rq_[2345]xx' } },
  { prefix: 'server.live' },
  { prefix: 'server.days_until_first_cert_expiring' },
]

/** What Envoy reads once, at its start: who it is, where it listens, whom it calls, and how much it may take. */
export function bootstrap(plan: Plan, service: string, site: EnvoySite): Config {
  return {
    node: { id: service, cluster: plan.system },
    admin: { address: listenSocket(site.adminSocket), ignore_global_conn_limit: true },
    static_resources: { clusters: clusters(plan, service, site), listeners: listeners(plan, service, site) },
    stats_config: { stats_matcher: { inclusion_list: { patterns: statistics } } },
    layered_runtime: {
      layers: [
        // Otherwise a deadline that runs out in the sidecar reaches gRPC callers as UNAVAILABLE.
        { name: 'fixed', static_layer: { 'envoy.reloadable_features.grpc_timeout_returns_deadline_exceeded': true } },
      ],
    },
    overload_manager: {
      resource_monitors: [
        extension(
          'envoy.resource_monitors.global_downstream_max_connections',
          'extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
          { max_active_downstream_connections: connectionsMax },
        ),
      ],
    },
  }
}
