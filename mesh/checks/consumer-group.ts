import { resolveConsume } from '#graph/defaults.ts'
import { allEdges } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { byText, list } from './text.ts'

/** Each subscriber gets its copy. */
export const consumerGroup = rule({
  code: 'PLY206',
  title: 'A consumer group belongs to one service',
  why: 'A group shares the partitions out among its members. Two services in one group each miss the events that the other gets.',
  reference: 'Kafka, "Consumer groups"; Hohpe and Woolf, "Publish-Subscribe Channel"',
  check: (system) => {
    const groups = new Map<string, Set<string>>()
    for (const { service, edge } of allEdges(system, 'consumes')) {
      const { group } = resolveConsume(service.name, edge.policy)
      groups.set(group, (groups.get(group) ?? new Set()).add(service.name))
    }
    return [...groups]
      .sort(([a], [b]) => byText(a, b))
      .filter(([, services]) => services.size > 1)
      .map(([group, services]) => {
        const names = [...services].sort()
        return {
          path: [`group ${group}`, ...names.map((name) => `← ${name}`)],
          message: `${list(names)} consume as one group, ${group}.`,
          cost: `Each event reaches one of ${names.length} services only.`,
          mend: `Take \`group: '${group}'\` off \`consumes\` of ${list(names.filter((name) => name !== group))}: a service's own name is the default.`,
          owners: names.map((name) => serviceOwner({ name })),
        }
      })
  },
})
