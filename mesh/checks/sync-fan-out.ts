import { availabilityOf } from './availability.ts'
import { byName, hopsOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { list, percent } from './text.ts'

/** No service waits for more than a few others. */
export const syncFanOut = rule({
  code: 'PLY102',
  title: 'A service has at most 2 synchronous callees',
  why: 'Each callee whose answer is needed multiplies its unavailability and its slowest moments into the caller: the distributed monolith begins here.',
  reference: 'Treynor, Dahlin, Rau, Beyer, The Calculus of Service Availability (ACM Queue, 2017)',
  check: (system) => {
    const max = system.bounds.syncDownstreamMax ?? 2
    const hops = hopsOf(system)
    return byName(system.services).flatMap((service) => {
      const callees = [
        ...new Set(hops.filter((hop) => hop.from.name === service.name).map((hop) => hop.to.name)),
      ].sort()
      if (callees.length <= max) return []
      const share = availabilityOf(system, callees)
      return [
        {
          path: [service.name, ...callees.map((name) => `→ ${name}`)],
          message: `${service.name} calls ${callees.length} services synchronously: ${list(callees)}; the bound is ${max}.`,
          cost: `Availability product of the ${callees.length} callees: ${percent(share)}.`,
          mend: `Replace ${callees.length - max} of the \`calls\` by \`consumes\`: let ${service.name} keep its own copy of what it asks ${callees.at(-1) ?? ''} for, from that service's events. A composing gateway may raise \`bounds.syncDownstreamMax\`.`,
          owners: [serviceOwner(service)],
        },
      ]
    })
  },
})
