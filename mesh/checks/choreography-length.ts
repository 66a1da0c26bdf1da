import { byName } from './edges.ts'
import { rule } from './rule.ts'
import { choreographyOwners } from './saga-facts.ts'

const stepsMax = 4

/** A choreography stays short enough to be followed. */
export const choreographyLength = rule({
  code: 'PLY301',
  title: 'A choreography has at most 4 steps',
  why: 'Nobody holds the course of a choreography: it is spread over the handlers of its services. Beyond four steps no one can say where a transaction stands.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 4, "Coordinating Sagas"',
  check: (system) =>
    byName(system.sagas).flatMap((saga) => {
      if (saga.style !== 'choreography' || saga.steps.length <= stepsMax) return []
      const events = saga.steps.flatMap((step) => [step.emits, step.refuses, step.compensation?.emits ?? null])
      const kinds = new Set(events.flatMap((event) => (event ? [event.typeName] : []))).size
      return [
        {
          path: [`saga ${saga.name}`, ...saga.steps.map((step) => `→ ${step.by.name} (${step.name})`)],
          message: `The choreography ${saga.name} has ${saga.steps.length} steps; the bound is ${stepsMax}.`,
          cost: `${kinds} kinds of event in ${saga.steps.length} handlers have to be read to know its course.`,
          mend: `Declare it as \`orchestration('${saga.name}', { by: ${saga.steps[0]?.by.name ?? '…'}, steps: [action(…), …] })\`, or let a second saga begin after the point of no return.`,
          owners: choreographyOwners(saga),
        },
      ]
    }),
})
