import type { SystemNode } from '#graph/system.ts'
import { shortestPath } from './cycles.ts'
import { allEdges, byName, hopsOf } from './edges.ts'
import { arcOf, entriesOf } from './paths.ts'
import { exposureOwner, type Owner, rule, serviceOwner } from './rule.ts'
import { list, ms } from './text.ts'

const slowMs = 1_000

/** Nobody waits for what is slow. */
export const slowExternal = rule({
  code: 'PLY402',
  title: 'An external slower than 1 s is on no synchronous path',
  why: 'Whoever waits for a slow system outside holds a slot, a connection and a customer for as long. Its bad day becomes the day of all who call.',
  reference: 'Michael Nygard, Release It!, "Slow Responses" and "Integration Points"',
  check: (system) =>
    allEdges(system, 'reaches')
      .filter(({ edge }) => edge.external.expectedLatencyMs > slowMs)
      .flatMap(({ service, edge: { external } }) => {
        const waiters = waitersOf(system, service.name)
        const shortest = waiters.toSorted(byPatience)[0]
        if (!shortest) return []
        return [
          {
            path: [...pathTo(system, service.name), `→ external ${external.name}`],
            message: `${service.name} reaches ${external.name}, which takes up to ${ms(external.expectedLatencyMs)}, and is called synchronously by ${list(waiters.map((waiter) => waiter.name))}.`,
            cost: `Worst-case wait ${ms(external.expectedLatencyMs)}; ${shortest.name} gives up after ${ms(shortest.deadlineMs)}.`,
            mend: `Let ${service.name} reach ${external.name} from a \`consumes\` or \`works\` handler in a service that nobody calls, and answer callers from its own store.`,
            owners: [serviceOwner(service), ...waiters.map((waiter) => waiter.owner)],
          },
        ]
      }),
})

function waitersOf(system: SystemNode, name: string): { name: string; deadlineMs: number; owner: Owner }[] {
  const exposures = byName(system.exposures).filter((exposure) => exposure.service.name === name)
  const hops = hopsOf(system).filter((hop) => hop.to.name === name)
  return [
    ...exposures.map((exposure) => ({
      name: `exposure ${exposure.name}`,
      deadlineMs: exposure.deadlineMs,
      owner: exposureOwner(exposure),
    })),
    ...[...new Set(hops.map((hop) => hop.from.name))].map((caller) => ({
      name: caller,
      deadlineMs: Math.min(...hops.filter((hop) => hop.from.name === caller).map((hop) => hop.policy.deadlineMs)),
      owner: serviceOwner({ name: caller }),
    })),
  ]
}

/** The shortest way in: from outside where there is one, otherwise from the nearest service that nobody calls. */
function pathTo(system: SystemNode, name: string): string[] {
  const arcs = hopsOf(system).map(arcOf)
  const ways = entriesOf(system)
    .flatMap((entry) => {
      const path = shortestPath(arcs, entry, name)
      return path ? [[entry, ...path.map((arc) => arc.hop.label)]] : []
    })
    .toSorted((a, b) => a.length - b.length)
  const [entry = name, ...rest] = ways[0] ?? [name]
  const [exposure] = byName(system.exposures).filter(({ service }) => service.name === entry)
  return exposure ? [`exposure ${exposure.name}`, entry, ...rest] : [entry, ...rest]
}

/** A deadline that is no number, a finding of its own, comes last: a comparison with it would hang on the order of the rest. */
function byPatience(a: { readonly deadlineMs: number }, b: { readonly deadlineMs: number }): number {
  const [left, right] = [a, b].map(({ deadlineMs }) =>
    Number.isNaN(deadlineMs) ? Number.POSITIVE_INFINITY : deadlineMs,
  )
  if (left === right) return 0
  return (left ?? 0) < (right ?? 0) ? -1 : 1
}
