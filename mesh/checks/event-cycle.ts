import type { SystemNode } from '#graph/system.ts'
import { type Arc, cyclesOf } from './cycles.ts'
import { allEdges, ownersOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { participantsOf, pivotOf } from './saga-facts.ts'
import { byText, list } from './text.ts'

type EventArc = Arc & { readonly events: readonly string[] }

/** Services that answer each other's events are in a saga. */
export const eventCycle = rule({
  code: 'PLY307',
  title: 'A cycle of events is a declared saga',
  why: 'Services that react to each other’s events share a transaction, whether or not anybody says so. Undeclared it has no timeout, no compensation, and nobody who is told when it hangs.',
  reference: 'Garcia-Molina and Salem, Sagas (1987)',
  check: (system) =>
    cyclesOf(eventArcs(system))
      .filter((cycle) => !covered(system, cycle))
      .map((cycle) => {
        const names = cycle.map((arc) => arc.from)
        return {
          path: [names[0] ?? '', ...cycle.map((arc) => `⇢ ${arc.to} (${arc.events.join(', ')})`)],
          message: `${list(names)} react to each other's events, and no saga covers them.`,
          cost: `A transaction over ${names.length} services without a timeout or a compensation.`,
          mend: `Declare a \`choreography\` whose steps are by ${list(names)}, or take one of the \`consumes\` away.`,
          owners: names.map((name) => serviceOwner({ name })),
        }
      }),
})

function covered(system: SystemNode, cycle: readonly EventArc[]): boolean {
  return system.sagas.some((saga) => cycle.every((arc) => participantsOf(saga).has(arc.from)))
}

/**
 * Who publishes for whom. Two kinds of event begin no transaction that could have to be undone: those that a saga
 * emits from its point of no return on, and those that a service consumes of its own topics.
 */
function eventArcs(system: SystemNode): EventArc[] {
  const final = outcomes(system)
  const arcs = new Map<string, { from: string; to: string; events: Set<string> }>()
  for (const { service, edge } of allEdges(system, 'consumes')) {
    const events = edge.messages.filter((event) => !final.has(event.typeName)).map((event) => event.name)
    for (const owner of ownersOf(system, edge.topic)) {
      if (owner.name === service.name || events.length === 0) continue
      const key = `${owner.name} ${service.name}`
      const arc = arcs.get(key) ?? { from: owner.name, to: service.name, events: new Set<string>() }
      for (const event of events) arc.events.add(event)
      arcs.set(key, arc)
    }
  }
  return [...arcs.entries()]
    .sort(([a], [b]) => byText(a, b))
    .map(([, { from, to, events }]) => ({ from, to, events: [...events].sort() }))
}

function outcomes(system: SystemNode): Set<string> {
  return new Set(
    system.sagas.flatMap((saga) =>
      saga.style === 'choreography' && pivotOf(saga) >= 0
        ? saga.steps.slice(pivotOf(saga)).map((step) => step.emits.typeName)
        : [],
    ),
  )
}
