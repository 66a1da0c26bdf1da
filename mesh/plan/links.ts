import { apiName } from '#graph/api.ts'
import type { CallEdge } from '#graph/call.ts'
import { resolveCall, resolveReach } from '#graph/defaults.ts'
import type { ExternalNode } from '#graph/external.ts'
import type { Edge, ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { sortedBy } from './freeze.ts'
import type { Egress, Link, LinkRoute, MethodRef, PlannedExternal } from './plan.ts'
import { exposersOf, methodRef, protocolOf } from './services.ts'

/** One link a caller and callee. Breaker and limits are those of the first edge; the checks hold the others to it. */
export function deriveLinks(system: SystemNode): Link[] {
  const links = new Map<string, Link>()
  const exposers = exposersOf(system)
  for (const caller of system.services) {
    for (const edge of edgesOf(caller, 'calls')) {
      const callee = exposers.get(edge.api)
      const protocol = callee && protocolOf(callee)
      if (!callee || !protocol) continue
      const key = `${caller.name} ${callee.name}`
      const { breaker, limits } = resolveCall(edge.policy)
      const link = links.get(key) ?? { from: caller.name, to: callee.name, protocol, breaker, limits, routes: [] }
      links.set(key, { ...link, routes: [...link.routes, routeOf(edge)] })
    }
  }
  return sortedBy([...links.values()], (link) => `${link.from} ${link.to}`)
}

/** What each service asks of systems outside. */
export function deriveEgress(system: SystemNode): Egress[] {
  const egress = system.services.flatMap((service) =>
    edgesOf(service, 'reaches').map((edge): Egress => {
      const { deadlineMs, retry, breaker, limits } = resolveReach(edge)
      return { from: service.name, external: edge.external.name, deadlineMs, retry, breaker, limits }
    }),
  )
  return sortedBy(egress, (item) => `${item.from} ${item.external}`)
}

/** Every system outside that somebody reaches, once. */
export function deriveExternals(system: SystemNode): PlannedExternal[] {
  const externals = new Map<string, ExternalNode>()
  for (const service of system.services) {
    for (const { external } of edgesOf(service, 'reaches')) externals.set(external.name, external)
  }
  return sortedBy([...externals.values()].map(plannedExternal), (external) => external.name)
}

/** The edges of one kind. */
export function edgesOf<K extends Edge['kind']>(service: ServiceNode, kind: K): Extract<Edge, { kind: K }>[] {
  return (service.spec.edges ?? []).filter((edge): edge is Extract<Edge, { kind: K }> => edge.kind === kind)
}

function routeOf(edge: CallEdge): LinkRoute {
  const { deadlineMs, idleMs, retry, fallback } = resolveCall(edge.policy)
  const methods = edge.methods.map((method) => methodRef(edge.api, method))
  return {
    api: apiName(edge.api),
    methods,
    deadlineMs,
    idleMs: methods.some(({ streaming }) => streaming) ? idleMs : null,
    retry,
    fallback,
  }
}

function plannedExternal(external: ExternalNode): PlannedExternal {
  const { kind: _kind, routes, ...rest } = external
  return { ...rest, routes: Object.entries(routes).map(([name, route]) => restRef(name, route)) }
}

function restRef(name: string, route: string): MethodRef {
  const [verb = '', path = ''] = route.split(' ')
  return { name, verb, path, streaming: false }
}
