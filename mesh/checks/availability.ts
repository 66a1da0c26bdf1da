import type { ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName, type Hop, hopsOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { downtime, list, percent } from './text.ts'

/** What a service has that says nothing; the plan's alerts use the same. */
const availabilityDefault = 0.999

/** A declared objective can be reached with the callees that the service depends on. */
export const availability = rule({
  code: 'PLY502',
  title: 'A declared objective can be kept',
  why: 'A service that needs every callee for its answer is up at most as often as all of them together. An objective above that pages people for what they cannot change.',
  reference: 'Treynor, Dahlin, Rau, Beyer, The Calculus of Service Availability (ACM Queue, 2017)',
  check: (system) => {
    const hops = hopsOf(system)
    return byName(system.services).flatMap((service) => {
      const objective = promiseOf(service)
      const needed = neededBy(hops, service)
      if (objective === null || needed.length === 0) return []
      const reachable = product(hops, needed, new Set([service.name]))
      if (!(reachable < objective - 1e-9)) return []
      const names = needed.map((hop) => hop.to.name)
      return [
        {
          path: [service.name, `→ ${names.join(', → ')}`],
          message: `${service.name} promises ${percent(objective)}, and needs ${list(names)}, which together give ${percent(reachable)}.`,
          cost: `Availability product ${percent(reachable)}: ${downtime(reachable)} instead of ${downtime(objective)}.`,
          mend: `Declare \`fallback: true\` on the call to ${names[0] ?? ''} and answer without it, or lower \`objective.availability\` of ${service.name} to at most ${Math.floor(reachable * 1e6) / 1e6}.`,
          owners: [serviceOwner(service)],
        },
      ]
    })
  },
})

/** The share of requests that a service can answer at best if all it needs synchronously keeps its objective. */
export function availabilityOf(system: SystemNode, names: readonly string[]): number {
  const services = byName(system.services).filter(({ name }) => names.includes(name))
  return services.reduce((share, service) => share * (promiseOf(service) ?? availabilityDefault), 1)
}

/** What a service declares; null where it says nothing, or what is no share and a finding of its own. */
function promiseOf(service: ServiceNode): number | null {
  const promise = service.spec.objective?.availability
  return promise !== undefined && promise > 0 && promise <= 1 ? promise : null
}

/** One hop a callee whose failure is the caller's failure. */
function neededBy(hops: readonly Hop[], service: ServiceNode): Hop[] {
  const mine = hops.filter((hop) => hop.from.name === service.name && !hop.policy.fallback)
  return mine.filter((hop, index) => mine.findIndex((other) => other.to.name === hop.to.name) === index)
}

/** A declared objective stands for what is below it; without one a callee is no better than its own callees. */
function product(hops: readonly Hop[], needed: readonly Hop[], seen: ReadonlySet<string>): number {
  return needed.reduce((share, { to }) => {
    const declared = promiseOf(to)
    if (declared !== null) return share * declared
    if (seen.has(to.name)) return share
    const below = product(hops, neededBy(hops, to), new Set([...seen, to.name]))
    return share * Math.min(availabilityDefault, below)
  }, 1)
}
