import type { Route } from './api.ts'
import type { CallPolicy } from './policy.ts'
import type { Start } from './start.ts'

/** A system that is not ours, reached through the mesh's egress. */
export type ExternalNode<Routes extends Record<string, Route> = Record<string, Route>> = {
  readonly kind: 'external'
  readonly name: string
  readonly protocol: 'http' | 'tcp'
  readonly host: string
  readonly port: number
  /** Whether the mesh opens TLS towards it. */
  readonly tls: boolean
  /** The routes that may be called; empty for TCP. */
  readonly routes: Routes
  /** What it is known to take at worst. Over 1,000 ms it may not be on a synchronous path. */
  readonly expectedLatencyMs: number
  /** What plays its part where the real one cannot be reached: the local run and kind. */
  readonly standIn: StandIn | null
}

/** A process that plays an external's part; `webPort` is where it shows a page to people, null where it has none. */
export type StandIn = { readonly start: Start; readonly webPort: number | null }

type ExternalSpec = {
  host: string
  port: number
  tls?: boolean
  expectedLatencyMs: number
  standIn?: { start: Start; webPort?: number }
}

function standInOf(spec: ExternalSpec): StandIn | null {
  return spec.standIn ? { start: spec.standIn.start, webPort: spec.standIn.webPort ?? null } : null
}

/** Declares an HTTP system outside: its routes, its address and how slow it may be. `tls` defaults to true. */
export function external<const Routes extends Record<string, Route>>(
  name: string,
  spec: ExternalSpec & { routes: Routes },
): ExternalNode<Routes> {
  const { host, port, tls = true, routes, expectedLatencyMs } = spec
  return {
    kind: 'external',
    name,
    protocol: 'http',
    host,
    port,
    tls,
    routes,
    expectedLatencyMs,
    standIn: standInOf(spec),
  }
}

/** Declares a system outside that speaks another protocol over TCP, such as SMTP. `tls` defaults to false: the client opens its own. */
export function externalTcp(name: string, spec: ExternalSpec): ExternalNode<Record<string, never>> {
  const { host, port, tls = false, expectedLatencyMs } = spec
  return {
    kind: 'external',
    name,
    protocol: 'tcp',
    host,
    port,
    tls,
    routes: {},
    expectedLatencyMs,
    standIn: standInOf(spec),
  }
}

/** An edge to the outside. */
export type ReachEdge<E extends ExternalNode = ExternalNode> = {
  readonly kind: 'reaches'
  readonly external: E
  readonly policy: CallPolicy
}

/** Declares that a service reaches an external. Its deadline defaults to the expected latency and a third more. */
export function reaches<const E extends ExternalNode>(external: E, policy: CallPolicy = {}): ReachEdge<E> {
  return { kind: 'reaches', external, policy }
}
