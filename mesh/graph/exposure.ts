import type { Acceptance } from './acceptance.ts'
import type { Api } from './api.ts'
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
  /** Who comes through it. A browser cannot speak raw gRPC: a check refuses a gRPC interface without `grpcWeb`. */
  readonly client: 'browser' | 'machine'
  /** Whether the proxy translates gRPC-Web. */
  readonly grpcWeb: boolean
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

/**
 * Declares a way in from outside to one interface of a service. Defaults: any host, 200 requests/s with
 * bursts of 400, no authentication, bodies of at most 1 MiB, 10 s, streams 15 min. `rateLimit: null` and `bodyBytesMax: null` take the
 * bound away, which checks refuse.
 */
export function exposure(
  name: string,
  service: ServiceNode,
  api: Api,
  spec: Partial<Omit<ExposureNode, 'kind' | 'name' | 'service' | 'api'>> = {},
): ExposureNode {
  return {
    kind: 'exposure',
    name,
    service,
    api,
    client: spec.client ?? 'machine',
    grpcWeb: spec.grpcWeb ?? false,
    host: spec.host ?? '*',
    rateLimit: spec.rateLimit === undefined ? { perSecond: 200, burst: 400 } : spec.rateLimit,
    authentication: spec.authentication ?? { kind: 'none' },
    bodyBytesMax: spec.bodyBytesMax === undefined ? 1024 * 1024 : spec.bodyBytesMax,
    deadlineMs: spec.deadlineMs ?? 10_000,
    streamDeadlineMs: spec.streamDeadlineMs ?? 900_000,
    accepts: spec.accepts ?? [],
  }
}
