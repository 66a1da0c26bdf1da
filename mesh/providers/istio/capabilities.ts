import type { Capabilities } from '#providers/capability.ts'

/** What Istio's sidecars do of each thing, and why not of the rest. `not-supported.ts` finds where a plan meets a gap. */
export const capabilities = {
  identity: { by: 'PeerAuthentication `STRICT`; DestinationRule `ISTIO_MUTUAL` with `subjectAltNames`' },
  access: { by: 'AuthorizationPolicy: an empty one, and one ALLOW a caller by principal, path and verb' },
  deadline: {
    by: 'VirtualService `timeout`, by `sourceLabels`',
    but: {
      untold: 'a VirtualService cannot add a header only where it is absent; clients of the kit send it themselves',
    },
  },
  streams: {
    by: 'VirtualService `timeout`, a second later than the caller by its own clock; EnvoyFilter: `idle_timeout` of the named rule',
  },
  retry: {
    by: 'VirtualService `retries`; `attempts: 0` in every rule without',
    but: { cancelled: 'Istio refuses the status 499, which is no registered one' },
  },
  retryBudget: {
    by: 'DestinationRule `retryBudget`',
    but: {
      shared: 'there is one a caller and callee, so the strictest of them holds for all',
      none: 'Istio reads 0 as unset and always allows 3',
    },
  },
  backoff: {
    by: 'VirtualService `retries.backoff`: the base',
    but: { longest: 'Istio takes the base alone; waits grow to ten times it' },
  },
  breaker: { by: 'DestinationRule `outlierDetection`, `maxEjectionPercent: 100`' },
  concurrency: {
    by: 'DestinationRule `connectionPool`: `http2MaxRequests`; over REST `http1MaxPendingRequests`',
    but: {
      pending:
        'over HTTP/2 a call waits for the first connection alone, and a small bound lets calls through that concurrentMax refuses; concurrentMax holds',
    },
  },
  serviceRate: {
    by: 'EnvoyFilter: local rate limit at the callee',
    but: { perReplica: 'each replica counts for itself' },
  },
  egress: {
    by: 'Sidecar `REGISTRY_ONLY` with the declared hosts; ServiceEntry, for subscribers of webhooks one of resolution `NONE` at port 443',
    but: {
      onePort:
        'over TCP the port alone tells one system outside from another: the sidecar listens there for one of them, unless its DNS proxy (`ISTIO_META_DNS_CAPTURE`) tells them apart',
    },
  },
  egressPolicy: {
    by: 'VirtualService and DestinationRule of the ServiceEntry; TLS opened by the sidecar',
    but: { tcp: 'a sidecar cannot tell one call from the next within a TCP connection; the application has to' },
  },
  edge: {
    by: 'Gateway API at the Gateway of class `istio`; EnvoyFilter for what strangers may not',
    but: {
      wire: "the callee's sidecar translates gRPC-Web and passes gRPC on as it is",
      wrongVerb:
        'a route of the Gateway API either matches or does not: a path asked with another verb is answered with 404',
    },
  },
  edgeRate: {
    by: "EnvoyFilter: local rate limit at the callee, for the gateway's identity; a bucket a client by the address that the Gateway saw",
    but: { perReplica: 'each replica counts for itself' },
  },
  bodySize: { by: 'EnvoyFilter: buffer filter at the Gateway' },
  tokens: { by: 'RequestAuthentication; AuthorizationPolicy by `requestPrincipals`' },
  tracing: { by: 'Telemetry `randomSamplingPercentage`: spans of the sidecars beside those of the applications' },
  faults: {
    by: 'VirtualService `fault` at the caller; EnvoyFilter at the callee: abort and delay',
    but: { lasting: 'a fault does not end by itself: whoever made it deletes it' },
  },
} as const satisfies Capabilities
