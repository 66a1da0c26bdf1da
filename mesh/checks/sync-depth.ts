import { availabilityOf } from './availability.ts'
import { callWords, type Hop } from './edges.ts'
import { entriesOf, heaviestPaths, pathText } from './paths.ts'
import { rule, serviceOwner } from './rule.ts'
import { ms, percent } from './text.ts'

/** No chain of calls is long. */
export const syncDepth = rule({
  code: 'PLY103',
  title: 'A chain of calls is at most 2 hops deep',
  why: 'Along a chain latencies add up, availabilities multiply, and the last service in it stalls all before it.',
  reference: 'Site Reliability Engineering, chapter 22, "Addressing Cascading Failures"',
  check: (system) => {
    const max = system.bounds.syncDepthMax ?? 2
    const longer = (a: readonly Hop[], b: readonly Hop[]) => a.length > b.length
    return entriesOf(system)
      .flatMap((entry) => heaviestPaths(system, entry, longer).filter((path) => path.leaf))
      .flatMap((path) => {
        const cut = path.hops[max]
        if (!cut) return []
        const names = [path.entry, ...path.hops.map((hop) => hop.to.name)]
        const sumMs = path.hops.reduce((sum, hop) => sum + hop.policy.deadlineMs, 0)
        return [
          {
            path: pathText(path),
            message: `${names.join(' → ')} is ${path.hops.length} hops deep; the bound is ${max}.`,
            cost: `Availability product of the ${names.length} services: ${percent(availabilityOf(system, names))}; their deadlines add up to ${ms(sumMs)}.`,
            mend: `Replace ${callWords(cut.edge, '…')} in ${cut.from.name} by \`consumes\`: let ${cut.from.name} keep what it needs of ${cut.to.name} from its events.`,
            owners: path.hops.map((hop) => serviceOwner(hop.from)),
          },
        ]
      })
  },
})
