import type { Capabilities } from '#providers/capability.ts'

/** What Linkerd does of each thing, and why not of the rest. `not-supported.ts` finds where a plan meets a gap. */
export const capabilities = {
  identity: {
    by: 'namespace annotation `default-inbound-policy: deny`; AuthorizationPolicy requiring MeshTLSAuthentication',
    but: {
      open: 'metrics and health checks, on ports of their own, are open to callers without an identity; NetworkPolicies say who reaches them',
    },
  },
  access: {
    by: 'Server, one GRPCRoute or HTTPRoute a method, AuthorizationPolicy; a route without one refuses the rest',
    but: {
      overlap:
        "an exact path and a pattern count as equally good and the older route wins, so either's callers may be the ones let in",
    },
  },
  deadline: {
    by: 'route annotation `timeout.linkerd.io/request`, one route a method',
    but: { perCaller: "a route is the callee's and holds for all its callers; the longest deadline of them holds" },
  },
  streams: {
    by: 'route annotations `timeout.linkerd.io/request`, a second later than the caller by its own clock, and `timeout.linkerd.io/idle`',
    but: { perCaller: "a route is the callee's and holds for all its callers; the longest silence of them holds" },
  },
  retry: {
    by: 'route annotations `retry.linkerd.io/grpc` or `/http`, `limit`, `timeout`',
    but: {
      perCaller:
        "a route is the callee's and holds for all its callers; it retries only if all of them declare it, with the fewest attempts",
      lastTry: 'the time for one attempt does not cut the last one, which may take what is left of the deadline',
      unavailable: 'an attempt that nobody answers in time is retried whatever the reasons say',
    },
  },
  retryBudget: {
    notSupported: 'retries of a route have no budget; only the number of attempts bounds them',
  },
  backoff: {
    by: 'fixed by the proxy: 25 ms, to at most 250 ms, with full jitter',
    but: { other: 'the wait between attempts is fixed at 25 ms, to at most 250 ms' },
  },
  breaker: {
    by: 'Service annotations `balancer.linkerd.io/failure-accrual: consecutive`, minimum and maximum penalty alike; after it one call is let through as a trial',
    but: {
      perCaller:
        "the annotations are the callee's and hold for all its callers; the most failures and the shortest time of them hold",
      lone: 'with one replica nothing is left to choose: the first calls wait up to 3 s, or for their own deadline, before they are refused at once',
      denied: 'PERMISSION_DENIED counts as a failure, so a caller that its callee refuses opens its breaker',
    },
  },
  concurrency: {
    notSupported:
      "the proxy has no bound on calls under way or waiting; the callee's own limits and the deadline are what is left",
  },
  serviceRate: {
    by: 'HTTPLocalRateLimitPolicy on the Server, whose access is then by HTTPRoutes',
    but: {
      burst: 'a rate limit has no burst: more than `perSecond` in a second is refused',
      perReplica: 'each replica counts for itself',
    },
  },
  egress: {
    by: 'EgressNetwork `trafficPolicy: Deny`; HTTPRoutes for hosts in plain HTTP, which stand-ins are; ports of others pass the proxy by',
    but: {
      encrypted:
        'TLSRoute and TCPRoute do not open an EgressNetwork, so the port passes the proxy by in the pods that declare the edge: NetworkPolicies alone bound the hosts',
      perCaller:
        "an EgressNetwork is the namespace's: every service of it may take the route; NetworkPolicies say who gets there",
      appPort:
        'the port is that of the services themselves, which cannot pass the proxy by; the EgressNetwork refuses it',
    },
  },
  egressPolicy: {
    by: 'deadline and retry: annotations of the HTTPRoutes of hosts in plain HTTP; breaker of stand-ins: annotations of their Service',
    but: {
      encrypted: 'the proxy sees no requests in TLS that the application opens, nor in TCP',
      breaker: 'failure accrual is for Services of the cluster; the proxy forwards to an address outside as it is',
    },
  },
  edge: {
    by: 'Gateway API at Envoy Gateway, whose proxy is meshed and granted the exposed methods by its ServiceAccount',
    but: {
      wire: 'Envoy Gateway translates gRPC-Web on every route for gRPC and passes gRPC on as it is',
      wrongVerb:
        'a route of the Gateway API either matches or does not: a path asked with another verb is answered with 404',
    },
  },
  edgeRate: {
    by: "HTTPLocalRateLimitPolicy `overrides` for the gateway's ServiceAccount; before it Envoy Gateway's BackendTrafficPolicy `rateLimit`, which counts each method for itself, and each client by `sourceCIDR` of type `Distinct`",
    but: {
      burst: 'a rate limit has no burst: more than `perSecond` in a second is refused',
      perReplica: 'each replica counts for itself',
      counted: "what the gateway asks for counts towards the service's own limit too",
      clients:
        'Envoy Gateway counts a client for each method by itself and remembers the 20 that it saw last, of IPv6 each address; one that was forgotten begins anew',
      together:
        'all that the gateway asks of a service is counted together; the sum of the limits holds, and for one method that of its exposure',
      unbounded:
        'beside an exposure of the same service without a limit it holds for each method alone, for both come from the same gateway',
    },
  },
  bodySize: {
    by: "Envoy Gateway's BackendTrafficPolicy `requestBuffer`",
    but: {
      streams:
        "a stream would be held back until its end, so what is routed beside one is not bounded; the application's own bound is what is left",
    },
  },
  tokens: {
    notSupported:
      "Envoy Gateway does not find an issuer's keys by its name, which is all that is declared; such an exposure has no route, so nobody gets in",
  },
  tracing: {
    by: "the applications' own spans and sampling; the proxy passes `traceparent` on",
    but: {
      sampling:
        "a proxy makes spans only where the control plane's chart turns tracing on, for the whole cluster, and never decides on sampling",
    },
  },
  faults: {
    by: 'abort at the callee: weighted `backendRefs` to a fault backend',
    but: {
      at: 'a fault is chosen anew by each attempt, so retries recover from it: there is none at the caller',
      delay: 'a route has no delay',
      callers: 'a route holds for all callers of the method, and the fault is declared for one of them',
      breaker: "what the fault backend answers does not count towards the callee's breaker",
    },
  },
} as const satisfies Capabilities
