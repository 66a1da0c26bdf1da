import type { SystemNode } from '#graph/system.ts'
import type { TopicNode } from '#graph/topic.ts'
import { byName, environmentsOf } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** What belongs together stays in order. */
export const topicKey = rule({
  code: 'PLY205',
  title: 'A topic of several partitions has a key',
  why: 'Order holds within a partition only. Without a key the events of one order, customer or parcel overtake one another.',
  reference: 'Kafka, "Design": order is guaranteed within a partition',
  check: (system) =>
    byName(system.services).flatMap((service) =>
      byName(service.spec.publishes ?? []).flatMap((topic) =>
        keyBreaches(system, topic).map((breach) => ({
          path: [service.name, `→ topic ${topic.name}`],
          owners: [serviceOwner(service)],
          ...breach,
        })),
      ),
    ),
})

function keyBreaches(system: SystemNode, topic: TopicNode): Pick<Breach, 'message' | 'cost' | 'mend'>[] {
  const partitions = topic.partitions ?? Math.max(...environmentsOf(system).map((env) => env.topicPartitions))
  const { key } = topic
  if (key === null) {
    if (!(partitions > 1)) return []
    return [
      {
        message: `The topic ${topic.name} has no key and ${partitions} partitions: its events arrive in any order.`,
        cost: `Two events of one subject share a partition, and so keep their order, in 1 of ${partitions} cases.`,
        mend: `Declare \`key\` with a field that all its events have${candidates(topic)}, or \`partitions: 1\`; accept it where order does not matter.`,
      },
    ]
  }
  const without = topic.carries.filter((message) => !message.fields.some((field) => field.localName === key))
  if (without.length === 0) return []
  return [
    {
      message: `The key ${key} of the topic ${topic.name} is no field of ${list(without.map((message) => message.name))}.`,
      cost: null,
      mend: `Declare a \`key\` that all its events have${candidates(topic)}, or carry ${list(without.map((message) => message.name))} in a topic of its own.`,
    },
  ]
}

function candidates(topic: TopicNode): string {
  const [first, ...others] = topic.carries
  const fields = (first?.fields ?? [])
    .map((field) => field.localName)
    .filter((name) => others.every((message) => message.fields.some((field) => field.localName === name)))
    .filter((name) => /id$/i.test(name))
  return fields.length > 0 ? `, such as '${fields[0]}'` : ''
}
