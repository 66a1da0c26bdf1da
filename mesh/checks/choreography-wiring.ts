import type { DescMessage } from '@bufbuild/protobuf'
import type { ChoreographyStep } from '#graph/saga.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName } from './edges.ts'
import { type Breach, rule, serviceOwner } from './rule.ts'
import { type Choreography, inSystem, publishes, takes } from './saga-facts.ts'

type Said = Pick<Breach, 'message' | 'mend'>

/** A choreography can happen with the edges that are declared. */
export const choreographyWiring = rule({
  code: 'PLY304',
  title: 'A choreography’s steps are joined by declared events',
  why: 'A step whose event nobody takes, or that waits for one that never reaches it, ends the saga in the middle, in silence.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 4, "Choreography-based Sagas"',
  check: (system) =>
    byName(system.sagas).flatMap((saga) =>
      saga.style === 'choreography' ? saga.steps.flatMap((step, index) => stepBreaches(system, saga, step, index)) : [],
    ),
})

function stepBreaches(system: SystemNode, saga: Choreography, step: ChoreographyStep, index: number): Breach[] {
  const said = [
    ...startOf(saga, step, index),
    ...published(system, step),
    ...taken(system, saga, step),
    ...heard(system, saga, step, index),
  ]
  return said.map((each) => ({
    path: [`saga ${saga.name}`, `→ ${step.by.name} (${step.name})`],
    cost: 'The saga stops there, and ends by its timeout.',
    owners: [serviceOwner(step.by)],
    ...each,
  }))
}

function startOf(saga: Choreography, step: ChoreographyStep, index: number): Said[] {
  if (index === 0 || step.on === null) {
    return index === 0 || step.on !== null
      ? []
      : [
          {
            message: `The step ${step.name} of ${saga.name} is not the first, and reacts to nothing.`,
            mend: `Declare \`on\` with the event of the step before: \`step('${step.name}', ${step.by.name}, { on: ${saga.steps[index - 1]?.emits.name ?? '…'}, … })\`.`,
          },
        ]
  }
  const { on } = step
  if (saga.steps.slice(0, index).some((other) => other.emits.typeName === on.typeName)) return []
  return [
    {
      message: `The step ${step.name} of ${saga.name} reacts to ${on.name}, which no step before it emits.`,
      mend: `Declare \`on\` with an event that a step before emits, such as ${saga.steps[index - 1]?.emits.name ?? '…'}.`,
    },
  ]
}

function published(system: SystemNode, step: ChoreographyStep): Said[] {
  const service = inSystem(system, step.by)
  if (!service) {
    return [
      { message: `${step.by.name} is no service of ${system.name}.`, mend: `Add ${step.by.name} to \`services\`.` },
    ]
  }
  return eventsOf(step)
    .filter((event) => !publishes(service, event))
    .map((event) => ({
      message: `The step ${step.name} emits ${event.name}, which no topic of ${service.name} carries.`,
      mend: `Add ${event.name} to \`carries\` of a topic in \`publishes\` of ${service.name}.`,
    }))
}

function taken(system: SystemNode, saga: Choreography, step: ChoreographyStep): Said[] {
  const service = inSystem(system, step.by)
  const awaited = [step.on, ...(step.compensation?.on ?? [])]
  if (!service) return []
  return awaited.flatMap((event, index) => {
    if (!event || takes(service, event) || emittedBy(saga, step.by.name, event)) return []
    return [
      {
        message: `The step ${step.name} ${index === 0 ? 'reacts to' : 'is undone at'} ${event.name}, which ${service.name} does not consume.`,
        mend: `Add ${event.name} to a \`consumes(…)\` edge of ${service.name}.`,
      },
    ]
  })
}

/** Somebody who acted before has to hear of a refusal, or nothing is undone. */
function heard(system: SystemNode, saga: Choreography, step: ChoreographyStep, index: number): Said[] {
  const { refuses } = step
  const before = saga.steps.slice(0, index).map((other) => inSystem(system, other.by))
  const [first] = before
  if (!refuses || !first || before.some((service) => service && takes(service, refuses))) return []
  return [
    {
      message: `The step ${step.name} refuses with ${refuses.name}, and no service of a step before it consumes that.`,
      mend: `Add ${refuses.name} to a \`consumes(…)\` edge of ${first.name}, and undo there.`,
    },
  ]
}

/** What a service says itself it need not consume. */
function emittedBy(saga: Choreography, name: string, event: DescMessage): boolean {
  return saga.steps.some(
    (step) => step.by.name === name && eventsOf(step).some((own) => own.typeName === event.typeName),
  )
}

function eventsOf(step: ChoreographyStep): DescMessage[] {
  return [step.emits, step.refuses, step.compensation?.emits ?? null].filter((event) => event !== null)
}
