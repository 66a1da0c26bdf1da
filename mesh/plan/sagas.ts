import type { CallStep, CommandStep, SagaNode } from '#graph/saga.ts'
import type { SystemNode } from '#graph/system.ts'
import { sortedBy } from './freeze.ts'
import type { PlannedSaga } from './plan.ts'

/** Every saga, its nodes and descriptors replaced by their names. */
export function deriveSagas(system: SystemNode): PlannedSaga[] {
  return sortedBy(system.sagas.map(plannedSaga), (saga) => saga.name)
}

function plannedSaga(saga: SagaNode): PlannedSaga {
  const { name, style, pointOfNoReturn, timeoutMs } = saga
  const replies = saga.style === 'orchestration' ? (saga.replies?.name ?? null) : null
  return { name, style, owner: ownerOf(saga), steps: stepsOf(saga), replies, pointOfNoReturn, timeoutMs }
}

function ownerOf(saga: SagaNode): string {
  return saga.style === 'orchestration' ? saga.by.name : (saga.steps[0]?.by.name ?? '')
}

function stepsOf(saga: SagaNode): PlannedSaga['steps'] {
  if (saga.style === 'orchestration') {
    return saga.steps.map((step) => (step.kind === 'call' ? calledStep(step) : commandedStep(step)))
  }
  return saga.steps.map((step) => ({
    name: step.name,
    service: step.by.name,
    on: step.on?.typeName ?? null,
    does: step.emits.typeName,
    refuses: step.refuses?.typeName ?? null,
    compensation: step.compensation && {
      on: step.compensation.on.map((event) => event.typeName),
      does: step.compensation.emits?.typeName ?? null,
    },
    via: null,
  }))
}

function calledStep({ name, service, action, compensation }: CallStep): PlannedSaga['steps'][number] {
  const undo = compensation === null ? null : { on: [], does: compensation }
  return { name, service: service.name, on: null, does: action, refuses: null, compensation: undo, via: null }
}

function commandedStep({ name, service, ...step }: CommandStep): PlannedSaga['steps'][number] {
  const { on, sends, compensation, via } = step
  return {
    name,
    service: service.name,
    on: on?.typeName ?? null,
    does: (sends ?? on)?.typeName ?? '',
    refuses: null,
    compensation: compensation === null ? null : { on: [], does: compensation.typeName },
    via: via.name,
  }
}
