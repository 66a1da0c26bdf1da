import { type SagaNode, stagesOf } from '#graph/saga.ts'
import { byName } from './edges.ts'
import { rule, serviceOwner } from './rule.ts'
import { type Orchestration, participantsOf, pivotOf } from './saga-facts.ts'
import { list } from './text.ts'

/** A saga has steps with names of their own, one of which is the point of no return. */
export const sagaShape = rule({
  code: 'PLY306',
  title: 'A saga’s steps have own names, and one is the point of no return',
  why: 'What is undone and what is finished is decided by the steps’ names and by where the point of no return stands.',
  reference: 'Chris Richardson, Microservices Patterns, chapter 4',
  acceptable: false,
  check: (system) =>
    byName(system.sagas).flatMap((saga) =>
      said(saga).map(({ message, mend }) => ({
        path: [`saga ${saga.name}`],
        message,
        cost: null,
        mend,
        owners: [...participantsOf(saga)].sort().map((name) => serviceOwner({ name })),
      })),
    ),
})

function said(saga: SagaNode): { message: string; mend: string }[] {
  const names = saga.steps.map((step) => step.name)
  const twice = [...new Set(names.filter((name, index) => names.indexOf(name) !== index))].sort()
  const found = []
  if (participantsOf(saga).size < 2) {
    found.push({
      message: `The saga ${saga.name} has ${participantsOf(saga).size === 0 ? 'no step' : 'a single service'}: it is no transaction over several services.`,
      mend: `Do it in one local transaction and take ${saga.name} out of \`sagas\`, or name the other services' steps.`,
    })
  }
  if (twice.length > 0) {
    found.push({
      message: `The saga ${saga.name} has several steps named ${list(twice)}.`,
      mend: 'Give each step a name of its own.',
    })
  }
  if (names.length > 0 && pivotOf(saga) < 0) {
    found.push({
      message: `The point of no return of ${saga.name}, ${saga.pointOfNoReturn}, is none of its steps.`,
      mend: `Declare \`pointOfNoReturn\` with one of ${list(names)}.`,
    })
  }
  if (saga.style === 'orchestration' && companions(saga).length > 0) {
    found.push({
      message: `The point of no return of ${saga.name}, ${saga.pointOfNoReturn}, runs at the same time as ${list(companions(saga))}: while one of them may refuse, the other cannot be undone.`,
      mend: `Take \`alongside\` off ${list([saga.pointOfNoReturn, ...companions(saga)])}, so that it runs alone.`,
    })
  }
  return found
}

/** The steps that run at the same time as the point of no return. */
function companions({ steps, pointOfNoReturn }: Orchestration): string[] {
  const commands = steps.filter((step) => step.kind === 'command')
  const stage = stagesOf(commands).find((each) => each.some(({ name }) => name === pointOfNoReturn)) ?? []
  return stage.map(({ name }) => name).filter((name) => name !== pointOfNoReturn)
}
