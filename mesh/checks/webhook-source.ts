import { allEdges, edgesOf } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { list } from './text.ts'

/** Who delivers an event gets it. */
export const webhookSource = rule({
  code: 'PLY404',
  title: 'Who delivers webhooks consumes their events',
  why: 'Deliveries begin with an event from the topic. A service that does not consume it has nothing to deliver, and no right to read it.',
  reference: 'Declared = allowed: the broker grants what the edges say',
  check: (system) =>
    allEdges(system, 'delivers').flatMap(({ service, edge: { webhook } }) => {
      const consumed = edgesOf(service, 'consumes')
        .filter((edge) => edge.topic.name === webhook.topic.name)
        .flatMap((edge) => edge.messages.map((message) => message.typeName))
      const missing = webhook.messages.filter((message) => !consumed.includes(message.typeName)).map(({ name }) => name)
      if (missing.length === 0) return []
      return [
        {
          path: [service.name, `→ webhook ${webhook.name}`],
          message: `${service.name} delivers ${list(missing)} and does not consume ${missing.length === 1 ? 'it' : 'them'} from ${webhook.topic.name}.`,
          cost: 'No such webhook is ever delivered.',
          mend: `Add \`consumes(${webhook.topic.name}, [${missing.join(', ')}])\` to the edges of ${service.name}.`,
          owners: [serviceOwner(service)],
        },
      ]
    }),
})
