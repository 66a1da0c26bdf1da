import { resolveRedelivery } from '#graph/defaults.ts'
import { allEdges } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'

/** What cannot be handled is kept. */
export const deadLetter = rule({
  code: 'PLY202',
  title: 'Consumers and queues have a dead letter',
  why: 'A message that cannot be handled either blocks all behind it or is lost; with a dead letter it is kept with its reason, and replayed once the fault is mended.',
  reference: 'Hohpe and Woolf, Enterprise Integration Patterns, "Dead Letter Channel"',
  check: (system) => [
    ...allEdges(system, 'consumes')
      .filter(({ edge }) => edge.policy.deadLetter === false)
      .map(({ service, edge }) => ({
        path: [service.name, `← topic ${edge.topic.name}`],
        message: `An event of ${edge.topic.name} that ${service.name} cannot handle is dropped.`,
        cost: lost(resolveRedelivery(edge.policy.redelivery).attempts),
        mend: `Take \`deadLetter: false\` off \`consumes(${edge.topic.name}, …)\`.`,
        owners: [serviceOwner(service)],
      })),
    ...allEdges(system, 'works')
      .filter(({ edge }) => !edge.queue.deadLetter)
      .map(({ service, edge }) => ({
        path: [service.name, `← queue ${edge.queue.name}`],
        message: `A task of ${edge.queue.name} that ${service.name} cannot do is dropped.`,
        cost: lost(resolveRedelivery(edge.queue.redelivery).attempts),
        mend: `Take \`deadLetter: false\` off \`queue('${edge.queue.name}', …)\`.`,
        owners: [serviceOwner(service)],
      })),
  ],
})

function lost(attempts: number): string {
  return `Lost for good after ${attempts} attempts, though its sender was told that it is safe.`
}
