import { type Api, apiName, type MethodFacts, methodFacts, methodsOf } from '#graph/api.ts'
import { type ResolvedCall, resolveCall } from '#graph/defaults.ts'
import { environment } from '#graph/environment.ts'
import type { Edge, ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import type { TopicNode } from '#graph/topic.ts'
import { remembered } from './memo.ts'
import { byText } from './text.ts'

/** An edge of one kind. */
export type EdgeOfKind<K extends Edge['kind']> = Extract<Edge, { kind: K }>

/** A call with both its ends: one a `calls` edge and service that exposes its interface. */
export type Hop = {
  readonly from: ServiceNode
  readonly to: ServiceNode
  readonly edge: EdgeOfKind<'calls'>
  readonly policy: ResolvedCall
  /** `→ orders.createOrder`. */
  readonly label: string
}

/** The edges of one kind, in the order of their declaration. */
export function edgesOf<K extends Edge['kind']>(service: ServiceNode, kind: K): EdgeOfKind<K>[] {
  return (service.spec.edges ?? []).filter((edge): edge is EdgeOfKind<K> => edge.kind === kind)
}

/** Every service with every edge of one kind, by the services' names. */
export function allEdges<K extends Edge['kind']>(
  system: SystemNode,
  kind: K,
): { service: ServiceNode; edge: EdgeOfKind<K> }[] {
  return byName(system.services).flatMap((service) => edgesOf(service, kind).map((edge) => ({ service, edge })))
}

/** The services that expose an interface, by name. */
export function exposersOf(system: SystemNode, api: Api): readonly ServiceNode[] {
  return exposersByApi(system).get(apiKey(api)) ?? []
}

const exposersByApi = remembered((system: SystemNode) => {
  const exposers = new Map<string, ServiceNode[]>()
  for (const service of byName(system.services)) {
    for (const key of new Set((service.spec.exposes ?? []).map(apiKey))) {
      exposers.set(key, [...(exposers.get(key) ?? []), service])
    }
  }
  return exposers
})

/** Every call whose callee is known, by caller, callee and methods. */
export const hopsOf = remembered((system: SystemNode): readonly Hop[] => {
  const hops = allEdges(system, 'calls').flatMap(({ service: from, edge }) =>
    exposersOf(system, edge.api).map((to) => ({
      from,
      to,
      edge,
      policy: resolveCall(edge.policy),
      label: `→ ${to.name}.${edge.methods.join(',')}`,
    })),
  )
  const key = (hop: Hop) => `${hop.from.name} ${hop.to.name} ${hop.label} ${JSON.stringify(hop.policy)}`
  return hops
    .map((hop) => ({ hop, text: key(hop) }))
    .sort((a, b) => byText(a.text, b.text))
    .map(({ hop }) => hop)
})

/** The facts of a method; null for a name that the interface lacks, which only a cast can declare. */
export function factsOf(api: Api, method: string): MethodFacts | null {
  return methodsOf(api).includes(method) ? methodFacts(api, method) : null
}

/** Whether any method of a call is a stream. */
export function streams(edge: EdgeOfKind<'calls'>): boolean {
  return edge.methods.some((method) => factsOf(edge.api, method)?.streaming)
}

/** A call as it is declared, up to its policy: `calls(OrderService, ['createOrder'], …)`. */
export function callWords(edge: EdgeOfKind<'calls'>, policy: string): string {
  return `calls(${edge.api.name}, [${edge.methods.map((name) => `'${name}'`).join(', ')}], { ${policy} })`
}

/** Services, exposures and the like in an order that does not depend on the declaration's. */
export function byName<T extends { readonly name: string }>(nodes: readonly T[]): T[] {
  return [...nodes].sort((a, b) => byText(a.name, b.name))
}

/** The services that list a topic in `publishes`, by name. */
export function ownersOf(system: SystemNode, topic: TopicNode): ServiceNode[] {
  return byName(system.services).filter((service) => service.spec.publishes?.some((own) => own.name === topic.name))
}

/** The environments as this system has them. */
export function environmentsOf(system: SystemNode) {
  return (['local', 'kind', 'production'] as const).map((name) => environment(name, system.environments[name]))
}

function apiKey(api: Api): string {
  return `${api.kind} ${apiName(api)}`
}
