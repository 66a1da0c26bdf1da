import type { Capabilities } from '#providers/capability.ts'

/** What a local Envoy does of each thing, and why not of the rest. */
export const capabilities = {
  identity: { by: 'SPIFFE certificates both ways: `require_client_certificate`, `match_typed_subject_alt_names`' },
  access: { by: 'RBAC filter: one policy a grant, by `authenticated` principal, path and verb' },
  deadline: { by: 'route `timeout`, `max_grpc_timeout`' },
  streams: { by: 'route `timeout`, a second later than the caller by its own clock, and `idle_timeout`' },
  retry: { by: 'route `retry_policy`' },
  retryBudget: {
    by: 'cluster `circuit_breakers`: `retry_budget`',
    but: { shared: 'there is one a caller and callee, so the strictest of them holds for all' },
  },
  backoff: { by: '`retry_back_off`: base and maximum' },
  breaker: { by: 'cluster `outlier_detection`, `max_ejection_percent: 100`, no panic' },
  concurrency: { by: 'cluster `circuit_breakers`: `max_requests`, `max_pending_requests`, `max_connections`' },
  serviceRate: { by: 'local rate limit filter in front of the application' },
  egress: {
    by: 'a listener a service with the declared hosts and routes; TCP by a socket each',
    but: {
      subscribers: 'processes of one machine share its network, so the application alone bounds where webhooks go',
    },
  },
  egressPolicy: { by: 'as for calls: route and cluster of the external; TLS opened by the sidecar' },
  edge: { by: "a listener of the exposed service's own sidecar, with gRPC-Web; no TLS: it is on this machine" },
  edgeRate: { by: 'local rate limit filter: a descriptor an exposure, and one a client without a value' },
  bodySize: { by: 'buffer filter: `max_request_bytes` a route' },
  tokens: { notSupported: 'a local run has no issuer to fetch keys from; every request is refused with 501' },
  tracing: { by: "the applications' own spans and sampling; the proxy passes `traceparent` on" },
  faults: { by: 'fault filter, turned on by a route: abort and delay, at the caller or the callee' },
} as const satisfies Capabilities
