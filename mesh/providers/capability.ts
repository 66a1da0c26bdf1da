/**
 * What a provider does of each thing that a declaration may ask for. The table in `docs/reference/meshes.md` and every
 * `NOT_SUPPORTED` that is printed come from the same data, so neither can say what the other does not.
 */

/** Everything that is compared, in the table's order, as a reader would ask for it. */
export const features = {
  identity: 'Identity and mutual TLS',
  access: 'Who may call what',
  deadline: 'Deadline',
  streams: 'Life and silence of streams',
  retry: 'Retry',
  retryBudget: 'Retry budget',
  backoff: 'Backoff',
  breaker: 'Breaker',
  concurrency: 'Concurrency limits',
  serviceRate: 'Rate limit of a service',
  egress: 'Egress',
  egressPolicy: 'Deadline, retry, breaker and limits of egress',
  edge: 'Edge',
  edgeRate: 'Rate limit at the edge',
  bodySize: 'Size of bodies at the edge',
  tokens: 'Authentication by token',
  tracing: 'Tracing and sampling',
  faults: 'Faults',
} as const
/** One of them. */
export type Feature = keyof typeof features

/**
 * How a provider does a thing: `by` which resource and field, and in `but` what of it it cannot do, each with the reason;
 * or that it cannot do it at all, with the reason. There is no third way: silence is never support.
 */
export type Capability =
  | { readonly by: string; readonly but?: Readonly<Record<string, string>> }
  | { readonly notSupported: string }

/** All of a provider's. A feature that is left out does not compile. */
export type Capabilities = Readonly<Record<Feature, Capability>>
