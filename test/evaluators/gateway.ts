/** Where the edge sends a request from outside, from the rules of the Gateway API for HTTPRoutes and GRPCRoutes. */
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, NotUnderstood, ofKind, only } from './objects.ts'

/** A request as it arrives at the edge. gRPC is a POST of `/package.Service/Method`. */
export type EdgeRequest = {
  readonly protocol: 'HTTP' | 'HTTPS'
  readonly host: string
  readonly verb: string
  readonly path: string
}

const group = 'gateway.networking.k8s.io'

/** `namespace/service:port` that a request is sent to, `redirected` to another address, or null where no route takes it. */
export function edgeTarget(objects: readonly Manifest[], request: EdgeRequest): string | null {
  let best: { readonly target: string; readonly rank: readonly number[] } | null = null
  for (const kind of ['HTTPRoute', 'GRPCRoute'] as const) {
    for (const route of ofKind(objects, group, kind).filter((each) => hangsOn(objects, each, request.protocol))) {
      const hostRank = rankOfHost(route.spec.hostnames, request.host)
      if (hostRank === null) continue
      for (const rule of route.spec.rules) {
        for (const match of rule.matches ?? [{}]) {
          const own = kind === 'GRPCRoute' ? grpcRank(match, request) : httpRank(match, request)
          if (own === null) continue
          const rank = [hostRank, ...own]
          if (best === null || isGreater(rank, best.rank)) best = { target: targetOf(route, rule), rank }
        }
      }
    }
  }
  return best?.target ?? null
}

/** Whether a route is attached to a listener of this protocol: to the one it names, or to all. */
function hangsOn(objects: readonly Manifest[], { metadata, spec }: Loose, protocol: string): boolean {
  return spec.parentRefs.some(
    (parent: Loose) =>
      (parent.group ?? group) === group &&
      (parent.kind ?? 'Gateway') === 'Gateway' &&
      ofKind(objects, group, 'Gateway').some(
        (gateway) =>
          gateway.metadata.name === parent.name &&
          gateway.metadata.namespace === (parent.namespace ?? metadata.namespace) &&
          gateway.spec.listeners.some(
            (listener: Loose) =>
              listener.protocol === protocol && (parent.sectionName ?? listener.name) === listener.name,
          ),
      ),
  )
}

function targetOf({ metadata }: Loose, { backendRefs = [], filters = [] }: Loose): string {
  if (filters.some(({ type }: Loose) => type === 'RequestRedirect')) return 'redirected'
  const [backend, ...more] = backendRefs
  if (!backend) return 'nowhere'
  if (more.length > 0) throw new NotUnderstood('Several backends of one rule')
  return `${backend.namespace ?? metadata.namespace}/${backend.name}:${backend.port}`
}

/** An exact host is better than a wildcard, a long wildcard better than a short one, and any better than none given. */
function rankOfHost(hostnames: readonly string[] | undefined, host: string): number | null {
  if (!hostnames?.length) return 0
  const ranks = hostnames.flatMap((name) => {
    if (name === host) return [1_000]
    return name.startsWith('*.') && host.endsWith(name.slice(1)) ? [name.length] : []
  })
  return ranks.length === 0 ? null : Math.max(...ranks)
}

/** Exact paths come first, then regular expressions as Envoy takes them, then the longest prefix; then a named verb. */
function httpRank(match: Loose, { verb, path }: EdgeRequest): readonly number[] | null {
  only(match, 'A match', 'path', 'method')
  if (match.method !== undefined && match.method !== verb) return null
  const { type = 'PathPrefix', value = '/' } = match.path ?? {}
  const named = match.method === undefined ? 0 : 1
  switch (type) {
    case 'Exact':
      return path === value ? [3, value.length, named] : null
    case 'RegularExpression':
      return new RegExp(`^(?:${value})$`).test(path) ? [2, value.length, named] : null
    case 'PathPrefix': {
      const prefix = value.replace(/\/$/, '')
      return path === prefix || path.startsWith(`${prefix}/`) ? [1, value.length, named] : null
    }
    default:
      throw new NotUnderstood(`A path match ${type}`)
  }
}

function grpcRank(match: Loose, { verb, path }: EdgeRequest): readonly number[] | null {
  only(match, 'A match', 'method')
  const { service, method, type = 'Exact' } = match.method ?? {}
  if (type !== 'Exact') throw new NotUnderstood(`A gRPC match ${type}`)
  const [, calledService, calledMethod, ...more] = path.split('/')
  if (verb !== 'POST' || more.length > 0) return null
  if (service !== undefined && service !== calledService) return null
  if (method !== undefined && method !== calledMethod) return null
  return [3, (service ?? '').length, (method ?? '').length]
}

function isGreater(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, index) => value !== b[index])
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0)
}
