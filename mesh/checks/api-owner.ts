import { type Api, apiName } from '#graph/api.ts'
import { byName, exposersOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { byText, list } from './text.ts'

/** One service answers for an interface. */
export const apiOwner = rule({
  code: 'PLY110',
  title: 'An interface is exposed by one service',
  why: 'A call names an interface, and its callee follows from who exposes it. With two it is left to chance who answers.',
  reference: 'Sam Newman, Building Microservices, "Information Hiding"',
  acceptable: false,
  check: (system) => {
    const apis = new Map<string, Api>()
    for (const api of byName(system.services).flatMap((service) => service.spec.exposes ?? [])) {
      apis.set(`${api.kind} ${apiName(api)}`, api)
    }
    return [...apis.values()]
      .sort((a, b) => byText(apiName(a), apiName(b)))
      .flatMap((api) => {
        const owners = exposersOf(system, api)
        if (owners.length < 2) return []
        const names = owners.map((owner) => owner.name)
        return [
          {
            path: [names[0] ?? '', `exposes ${apiName(api)}`],
            message: `${apiName(api)} is exposed by ${names.length} services: ${list(names)}.`,
            cost: null,
            mend: `Take it out of \`exposes\` of ${list(names.slice(1))}, or split the interface into one for each.`,
            owners: owners.map(serviceOwner),
          },
        ]
      })
  },
})
