import type { DescMessage } from '@bufbuild/protobuf'
import type { TopicNode } from '#graph/topic.ts'
import { allEdges, byName, ownersOf } from './edges.ts'
import { type Breach, type Owner, rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** Who waits for an event waits where it passes. */
export const carriedMessages = rule({
  code: 'PLY204',
  title: 'A consumed event is carried by its topic',
  why: 'A consumer of an event that its topic does not carry waits for ever, and nothing ever fails.',
  reference: 'Confluent, "Schemas, Subjects, and Topics"',
  check: (system) => [
    ...byName(system.services).flatMap((service) =>
      byName(service.spec.publishes ?? [])
        .filter((topic) => topic.carries.length === 0)
        .map((topic) => ({
          path: [service.name, `→ topic ${topic.name}`],
          message: `The topic ${topic.name} carries no event.`,
          cost: null,
          mend: `Name its events: \`topic('${topic.name}', { carries: […] })\`, or take it out of \`publishes\`.`,
          owners: [serviceOwner(service)],
        })),
    ),
    ...allEdges(system, 'consumes').flatMap(({ service, edge }) => {
      const carried = carriedBy(ownersOf(system, edge.topic), edge.topic)
      return breaches([service.name, `← topic ${edge.topic.name}`], serviceOwner(service), carried, edge, 'consumes')
    }),
    ...allEdges(system, 'delivers').flatMap(({ service, edge: { webhook } }) => {
      const carried = carriedBy(ownersOf(system, webhook.topic), webhook.topic)
      return breaches([service.name, `→ webhook ${webhook.name}`], serviceOwner(service), carried, webhook, 'delivers')
    }),
  ],
})

/** What the owner's declaration says, which may be another node of the same name than the consumer's. */
function carriedBy(owners: ReturnType<typeof ownersOf>, topic: TopicNode): Set<string> {
  const published = owners.flatMap((owner) => owner.spec.publishes ?? []).filter((own) => own.name === topic.name)
  return new Set((published.length > 0 ? published : [topic]).flatMap((own) => own.carries.map((m) => m.typeName)))
}

function breaches(
  path: readonly string[],
  owner: Owner,
  carried: ReadonlySet<string>,
  { topic, messages }: { topic: TopicNode; messages: readonly DescMessage[] },
  verb: 'consumes' | 'delivers',
): Breach[] {
  const missing = messages.filter((message) => !carried.has(message.typeName)).map((message) => message.name)
  const [service = ''] = path
  if (messages.length === 0) {
    return [
      {
        path,
        message: `${service} ${verb} events of ${topic.name} but names none.`,
        cost: 'It reads every event and handles none.',
        mend: `Name the events it ${verb}: ${list([...carried].sort())}.`,
        owners: [owner],
      },
    ]
  }
  if (missing.length === 0) return []
  return [
    {
      path,
      message: `${service} ${verb} ${list(missing)}, which the topic ${topic.name} does not carry.`,
      cost: 'No such event ever arrives.',
      mend: `Add ${list(missing)} to \`carries\` of \`topic('${topic.name}', …)\`, or ${verb === 'consumes' ? 'consume' : 'deliver'} it from the topic that carries it.`,
      owners: [owner],
    },
  ]
}
