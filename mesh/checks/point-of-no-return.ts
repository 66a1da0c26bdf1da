import { byName } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { pivotOf, type StepFacts, stepsOf } from './saga-facts.ts'

/** After the point of no return a saga only goes forward. */
export const pointOfNoReturn = rule({
  code: 'PLY303',
  title: 'After the point of no return nothing refuses and nothing is undone',
  why: 'Beyond it a saga can only be finished. A step that may still refuse there leaves the transaction neither done nor undone.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 4, "pivot" and "retriable" transactions',
  check: (system) =>
    byName(system.sagas).flatMap((saga) => {
      const pivot = pivotOf(saga)
      if (pivot < 0) return []
      const breach = (step: StepFacts, what: string, mend: string): Breach => ({
        path: [`saga ${saga.name}`, `→ ${step.service.name} (${step.name})`],
        message: `The step ${step.name} of ${saga.name} ${what} the point of no return, ${saga.pointOfNoReturn}.`,
        cost: null,
        mend,
        owners: [serviceOwner(step.service)],
      })
      return stepsOf(saga).flatMap((step, index) => [
        ...(index > pivot && step.refuses
          ? [
              breach(
                step,
                `may refuse (${step.refuses.name}) after`,
                `Take \`refuses\` off \`step('${step.name}', …)\` and retry it until it is done, or declare \`pointOfNoReturn: '${step.name}'\` and a compensation for each step before it.`,
              ),
            ]
          : []),
        ...(index >= pivot && step.undone
          ? [
              breach(
                step,
                `has a compensation, but stands ${index === pivot ? 'at' : 'after'}`,
                `Take \`compensation\` off the step ${step.name}, or declare a later \`pointOfNoReturn\`.`,
              ),
            ]
          : []),
      ])
    }),
})
