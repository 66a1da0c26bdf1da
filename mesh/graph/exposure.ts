import type { Acceptance } from './acceptance.ts'
import { type Api, type MethodOf, methodsOf } from './api.ts'
import type { EdgeRate } from './policy.ts'
import type { ServiceNode } from './service.ts'

/** How a caller from outside shows who it is. */
export type Authentication =
  | { readonly kind: 'none' }
  | { readonly kind: 'jwt'; readonly issuer: string; readonly audience: string }

/** A way in from outside. */
export type ExposureNode = {
  readonly kind: 'exposure'
  readonly name: string
  readonly service: ServiceNode
  readonly api: Api
  /** The methods that are open, in the order of the interface. */
  readonly methods: readonly string[]
  /** Who comes through it. A browser cannot speak raw gRPC: a check refuses a gRPC interface without `grpcWeb`. */
  readonly client: 'browser' | 'machine'
  /** Whether the proxy translates gRPC-Web. */
  readonly grpcWeb: boolean
  /**
   * Pages of which other origins may call, such as `https://shop.example`: scheme, host and port, exactly; or `*` for any. The
   * proxy answers their browsers' questions, which never reach the service, and never lets cookies along. Those of the visitor's
   * own machine, such as `http://localhost:3000`, are for development: production leaves them out.
   */
  readonly origins: readonly string[]
  readonly host: string
  readonly rateLimit: EdgeRate | null
  readonly authentication: Authentication
  /** The largest request body let in. */
  readonly bodyBytesMax: number | null
  /** The whole request, from the first byte in to the last byte out. */
  readonly deadlineMs: number
  /** The life of a stream, in place of the deadline; one that is silent for a minute is ended before. */
  readonly streamDeadlineMs: number
  readonly accepts: readonly Acceptance[]
}

/** What may be said of a way in; what is not has a default. */
type ExposureSpec<A extends Api> = Partial<Omit<ExposureNode, 'kind' | 'name' | 'service' | 'api' | 'methods'>> & {
  readonly methods?: readonly MethodOf<A>[]
}

/**
 * Declares a way in from outside to one interface of a service. Defaults: all its methods, any host, no page of another origin,
 * 200 requests/s with bursts of 400, no authentication, bodies of at most 1 MiB, 10 s, streams 15 min. `rateLimit: null`
 * and `bodyBytesMax: null` take the bound away, which checks refuse.
 */
export function exposure<A extends Api>(
  name: string,
  service: ServiceNode,
  api: A,
  spec: ExposureSpec<A> = {},
): ExposureNode {
  const chosen = new Set<string>(spec.methods ?? methodsOf(api))
  return {
    kind: 'exposure',
    name,
    service,
    api,
    methods: methodsOf(api).filter((method) => chosen.has(method)),
    client: spec.client ?? 'machine',
    grpcWeb: spec.grpcWeb ?? false,
    origins: spec.origins ?? [],
    host: spec.host ?? '*',
    rateLimit: spec.rateLimit === undefined ? { perSecond: 200, burst: 400 } : spec.rateLimit,
    authentication: spec.authentication ?? { kind: 'none' },
    bodyBytesMax: spec.bodyBytesMax === undefined ? 1024 * 1024 : spec.bodyBytesMax,
    deadlineMs: spec.deadlineMs ?? 10_000,
    streamDeadlineMs: spec.streamDeadlineMs ?? 900_000,
    accepts: spec.accepts ?? [],
  }
}
