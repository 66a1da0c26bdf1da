import { remembered } from './memo.ts'
import { byText } from './text.ts'

/** A directed edge between two names. */
export type Arc = { readonly from: string; readonly to: string }

/**
 * The cycles of a graph: for every arc that lies on one, the shortest cycle through it, each cycle once. Each begins
 * with its smallest name. All cycles would be exponentially many; these are enough for every arc to be named.
 */
export function cyclesOf<A extends Arc>(arcs: readonly A[]): A[][] {
  const found = new Map<string, A[]>()
  for (const arc of arcs) {
    const back = arc.from === arc.to ? [] : shortestPath(arcs, arc.to, arc.from)
    if (!back) continue
    const cycle = fromSmallest([arc, ...back])
    const key = cycle.map((each) => each.from).join(' ')
    if (!found.has(key)) found.set(key, cycle)
  }
  return [...found.entries()].sort(([a], [b]) => byText(a, b)).map(([, cycle]) => cycle)
}

/** The arcs of a shortest path; null where there is none, empty from a node to itself. */
export function shortestPath<A extends Arc>(arcs: readonly A[], from: string, to: string): A[] | null {
  const reached = new Map<string, A[]>([[from, []]])
  const open = [from]
  for (const node of open) {
    const path = reached.get(node) ?? []
    if (node === to) return path
    for (const arc of outOf(arcs).get(node) ?? []) {
      if (reached.has(arc.to)) continue
      // What leads out of a node of these arcs is one of them.
      reached.set(arc.to, [...path, arc as A])
      open.push(arc.to)
    }
  }
  return null
}

/** All nodes that can be reached from one, itself included. */
export function reachableFrom(arcs: readonly Arc[], start: string): Set<string> {
  const reached = new Set([start])
  for (const node of reached) {
    for (const arc of outOf(arcs).get(node) ?? []) reached.add(arc.to)
  }
  return reached
}

const outOf = remembered((arcs: readonly Arc[]) => Map.groupBy(arcs, ({ from }) => from))

function fromSmallest<A extends Arc>(cycle: A[]): A[] {
  const smallest = cycle.map((arc) => arc.from).reduce((a, b) => (byText(a, b) <= 0 ? a : b))
  const at = cycle.findIndex((arc) => arc.from === smallest)
  return [...cycle.slice(at), ...cycle.slice(0, at)]
}
