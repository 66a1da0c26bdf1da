import { allEdges } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'

/** Seeing an event twice has one effect. */
export const consumerIdempotence = rule({
  code: 'PLY201',
  title: 'Consumers are idempotent',
  why: 'Kafka delivers at least once: after a crash, a rebalance or a replay the same event comes again, and its effect must not.',
  reference: 'Hohpe and Woolf, Enterprise Integration Patterns, "Idempotent Receiver"',
  check: (system) =>
    allEdges(system, 'consumes')
      .filter(({ edge }) => edge.policy.idempotent === false)
      .map(({ service, edge }) => ({
        path: [service.name, `← topic ${edge.topic.name}`],
        message: `${service.name} consumes ${edge.topic.name} without recognising an event that it has seen.`,
        cost: 'Each crash between effect and acknowledgement makes the effect happen once more.',
        mend: `Take \`idempotent: false\` off \`consumes(${edge.topic.name}, …)\`: the inbox then recognises events in the transaction of their effect.`,
        owners: [serviceOwner(service)],
      })),
})
