import type { SystemNode } from '#graph/system.ts'
import { type Arc, reachableFrom } from './cycles.ts'
import { byName, type Hop, hopsOf } from './edges.ts'
import { remembered } from './memo.ts'

/** A path of calls from where requests come in. */
export type CallPath = {
  readonly entry: string
  readonly hops: readonly Hop[]
  /** The service at its end. */
  readonly end: string
  /** Whether that service calls nobody further. */
  readonly leaf: boolean
}

/** Where synchronous work begins: the exposed services, and those that nobody calls. By name. */
export const entriesOf = remembered((system: SystemNode): readonly string[] => {
  const called = new Set(hopsOf(system).map((hop) => hop.to.name))
  const exposed = new Set(system.exposures.map((exposure) => exposure.service.name))
  const entries = byName(system.services).filter(({ name }) => exposed.has(name) || !called.has(name))
  return [...new Set(entries.map(({ name }) => name))]
})

/**
 * The heaviest path from an entry to each service below it and to itself, by a weight that only grows along a path. Arcs within a cycle are left
 * out, so that paths end; the cycle is a finding of its own.
 */
export function heaviestPaths(
  system: SystemNode,
  entry: string,
  heavier: (a: readonly Hop[], b: readonly Hop[]) => boolean,
): CallPath[] {
  const hops = acyclic(system)
  const best = new Map<string, readonly Hop[]>([[entry, []]])
  for (const node of sorted(hops, entry)) {
    const path = best.get(node)
    if (!path) continue
    for (const hop of hops.get(node) ?? []) {
      const next = [...path, hop]
      const known = best.get(hop.to.name)
      if (!known || heavier(next, known)) best.set(hop.to.name, next)
    }
  }
  const leaf = (node: string) => !hops.has(node)
  return [...best.keys()].sort().map((end) => ({ entry, hops: best.get(end) ?? [], end, leaf: leaf(end) }))
}

/** A path as findings print it: `gateway`, `→ orders.createOrder`, `→ inventory.checkStock`. */
export function pathText({ entry, hops }: Pick<CallPath, 'entry' | 'hops'>): string[] {
  return [entry, ...hops.map((hop) => hop.label)]
}

type HopsFrom = ReadonlyMap<string, readonly Hop[]>

/** The hops that lie on no cycle, by their callers. */
const acyclic = remembered((system: SystemNode): HopsFrom => {
  const hops = hopsOf(system)
  const arcs = hops.map(arcOf)
  const callees = new Set(hops.map((hop) => hop.to.name))
  const reach = new Map([...callees].map((callee) => [callee, reachableFrom(arcs, callee)]))
  const open = hops.filter((hop) => !reach.get(hop.to.name)?.has(hop.from.name))
  return Map.groupBy(open, ({ from }) => from.name)
})

/** Nodes from the entry on, each after all that lead to it. */
function sorted(hops: HopsFrom, entry: string): string[] {
  const order: string[] = []
  const seen = new Set<string>()
  const visit = (node: string) => {
    if (seen.has(node)) return
    seen.add(node)
    for (const hop of hops.get(node) ?? []) visit(hop.to.name)
    order.unshift(node)
  }
  visit(entry)
  return order
}

/** A hop as an arc between names. */
export function arcOf(hop: Hop): Arc & { readonly hop: Hop } {
  return { from: hop.from.name, to: hop.to.name, hop }
}
