import type { PlannedExposure } from '#plan/plan.ts'

/** What the page of another origin may do, in the words that browsers read. */
export type Cors = {
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  /** How long a browser remembers it. Without it browsers ask again every 5 s. */
  readonly maxAgeSeconds: number
}

const tracing = ['traceparent', 'tracestate', 'x-correlation-id']

/** What gRPC-Web's clients send and read. A status is in headers where an answer has nothing else to say. */
const grpcWeb = {
  allow: ['content-type', 'grpc-timeout', 'x-grpc-web', 'x-user-agent'],
  expose: ['grpc-status', 'grpc-message', 'grpc-status-details-bin'],
}
const http = {
  allow: ['content-type', 'accept-version', 'idempotency-key', 'if-match', 'if-none-match', 'last-event-id'],
  expose: ['deprecation', 'etag', 'location', 'retry-after', 'sunset'],
}

/** What pages of other origins may do through an exposure: call its methods, without cookies. Null where none may. */
export function corsOf({ origins, methods, authentication, grpcWeb: web }: PlannedExposure): Cors | null {
  if (origins.length === 0) return null
  const { allow, expose } = web ? grpcWeb : http
  return {
    origins,
    methods: [...new Set(methods.map(({ verb }) => verb))],
    allowHeaders: [...(authentication.kind === 'jwt' ? ['authorization'] : []), ...allow, ...tracing],
    exposeHeaders: [...expose, 'x-correlation-id'],
    maxAgeSeconds: 600,
  }
}
