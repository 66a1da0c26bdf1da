import type { SystemNode } from '#graph/system.ts'
import type { TopicNode } from '#graph/topic.ts'
import { allEdges, byName, ownersOf } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** A topic has one publisher. */
export const topicOwner = rule({
  code: 'PLY203',
  title: 'A topic has exactly one owner',
  why: 'Events are facts of one service. Without an owner nobody publishes what others wait for; with two, neither order nor schema is anybody’s.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 3; Kafka, "Design"',
  acceptable: false,
  check: (system) =>
    topicsOf(system).flatMap((topic): Breach[] => {
      const owners = ownersOf(system, topic)
      const users = usersOf(system, topic)
      if (owners.length === 1) return []
      const names = owners.map((owner) => owner.name)
      if (owners.length > 1) {
        return [
          {
            path: [`topic ${topic.name}`, ...names.map((name) => `← ${name}`)],
            message: `The topic ${topic.name} is published by ${names.length} services: ${list(names)}.`,
            cost: null,
            mend: `Keep ${topic.name} in \`publishes\` of ${names[0] ?? ''}, and declare a \`topic\` of its own for ${list(names.slice(1))}.`,
            owners: owners.map(serviceOwner),
          },
        ]
      }
      return [
        {
          path: [`topic ${topic.name}`, ...users.map(({ name }) => `→ ${name}`)],
          message: `${list(users.map(({ name }) => name))} wait${users.length === 1 ? 's' : ''} for events of ${topic.name}, which nobody publishes.`,
          cost: 'No event ever arrives.',
          mend: `Add ${topic.name} to \`publishes\` of the service whose facts it carries.`,
          owners: users.map(serviceOwner),
        },
      ]
    }),
})

function topicsOf(system: SystemNode): TopicNode[] {
  const topics = [
    ...system.services.flatMap((service) => service.spec.publishes ?? []),
    ...allEdges(system, 'consumes').map(({ edge }) => edge.topic),
    ...allEdges(system, 'delivers').map(({ edge }) => edge.webhook.topic),
  ]
  return byName([...new Map(topics.map((topic) => [topic.name, topic])).values()])
}

function usersOf(system: SystemNode, topic: TopicNode): { name: string }[] {
  const consuming = allEdges(system, 'consumes').filter(({ edge }) => edge.topic.name === topic.name)
  const delivering = allEdges(system, 'delivers').filter(({ edge }) => edge.webhook.topic.name === topic.name)
  const names = [...consuming, ...delivering].map(({ service }) => service.name)
  return [...new Set(names)].sort().map((name) => ({ name }))
}
