import { cyclesOf } from './cycles.ts'
import { callWords, type Hop, hopsOf } from './edges.ts'
import { arcOf } from './paths.ts'
import { rule, serviceOwner } from './rule.ts'
import { ms } from './text.ts'

/** No service waits, however indirectly, for itself. */
export const syncCycle = rule({
  code: 'PLY101',
  title: 'Synchronous calls form no cycle',
  why: 'Services that wait for one another fail together, cannot be started or deployed one by one, and under load each holds the slot that the other needs.',
  reference: 'Michael Nygard, Release It!, "Cascading Failures"',
  check: (system) =>
    cyclesOf(hopsOf(system).map(arcOf)).map((cycle) => {
      const hops = cycle.map((arc) => arc.hop)
      const names = [...hops.map((hop) => hop.from.name), hops[0]?.from.name ?? '']
      const shortestMs = Math.min(...hops.map((hop) => hop.policy.deadlineMs))
      const last = hops.at(-1) as Hop
      return {
        path: [names[0] ?? '', ...hops.map((hop) => hop.label)],
        message: `Synchronous calls go around: ${names.join(' → ')}.`,
        cost: `A request that goes around holds a slot in all of ${hops.length} services until the smallest deadline, ${ms(shortestMs)}, runs out.`,
        mend: `Take one edge out: replace ${callWords(last.edge, '…')} in ${last.from.name} by an event that ${last.to.name} publishes and ${last.from.name} consumes.`,
        owners: hops.map((hop) => serviceOwner(hop.from)),
      }
    }),
})
