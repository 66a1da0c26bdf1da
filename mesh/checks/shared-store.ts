import { byName } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { byText, list } from './text.ts'

/** A store has one service. */
export const sharedStore = rule({
  code: 'PLY501',
  title: 'A store belongs to one service',
  why: 'Two services over one database are one service with two deployments: neither can change its tables alone, and each can lock out, or corrupt, the other.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 2, "Database per service"',
  check: (system) => {
    const owners = new Map<string, Set<string>>()
    for (const service of byName(system.services)) {
      for (const store of service.spec.owns ?? []) {
        const name = store.name ?? service.name
        owners.set(name, (owners.get(name) ?? new Set()).add(service.name))
      }
    }
    return [...owners]
      .sort(([a], [b]) => byText(a, b))
      .filter(([, services]) => services.size > 1)
      .map(([store, services]) => {
        const names = [...services]
        const others = names.filter((name) => name !== store).slice(names.includes(store) ? 0 : 1)
        return {
          path: [`store ${store}`, ...names.map((name) => `← ${name}`)],
          message: `The database ${store} is owned by ${names.length} services: ${list(names)}.`,
          cost: `A change of its tables has to be agreed on and released with ${names.length} services at once.`,
          mend: `Declare \`owns: [postgres()]\` without a name in ${list(others)}, and let ${others.length === 1 ? 'it' : 'them'} consume the owner's events or call it.`,
          owners: names.map((name) => serviceOwner({ name })),
        }
      })
  },
})
