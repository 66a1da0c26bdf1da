import { byName } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { pivotOf, stepsOf } from './saga-facts.ts'

/** What is done before the point of no return can be undone. */
export const compensation = rule({
  code: 'PLY302',
  title: 'Each step before the point of no return has a compensation',
  why: 'When a later step refuses, everything before it has to be taken back. A step without a compensation stays half done: reserved, charged, promised.',
  reference: 'Garcia-Molina and Salem, Sagas (1987); Chris Richardson, Microservices Patterns, chapter 4',
  check: (system) =>
    byName(system.sagas).flatMap((saga) =>
      stepsOf(saga)
        .slice(0, Math.max(0, pivotOf(saga)))
        .filter((step) => !step.undone)
        .map((step) => ({
          path: [`saga ${saga.name}`, `→ ${step.service.name} (${step.name})`],
          message: `The step ${step.name} of ${saga.name} comes before the point of no return, ${saga.pointOfNoReturn}, and cannot be undone.`,
          cost: `Every saga that fails after ${step.name} leaves its effect in ${step.service.name} for good.`,
          mend:
            saga.style === 'choreography'
              ? `Declare \`compensation: { on: …, emits: … }\` on \`step('${step.name}', …)\`.`
              : `Declare \`compensation: '…'\` on \`action('${step.name}', …)\`.`,
          owners: [serviceOwner(step.service)],
        })),
    ),
})
