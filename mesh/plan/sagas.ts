import type { SagaNode } from '#graph/saga.ts'
import type { SystemNode } from '#graph/system.ts'
import { sortedBy } from './freeze.ts'
import type { PlannedSaga } from './plan.ts'

/** Every saga, its nodes and descriptors replaced by their names. */
export function deriveSagas(system: SystemNode): PlannedSaga[] {
  return sortedBy(system.sagas.map(plannedSaga), (saga) => saga.name)
}

function plannedSaga(saga: SagaNode): PlannedSaga {
  const { name, style, pointOfNoReturn, timeoutMs } = saga
  return { name, style, owner: ownerOf(saga), steps: stepsOf(saga), pointOfNoReturn, timeoutMs }
}

function ownerOf(saga: SagaNode): string {
  return saga.style === 'orchestration' ? saga.by.name : (saga.steps[0]?.by.name ?? '')
}

function stepsOf(saga: SagaNode): PlannedSaga['steps'] {
  if (saga.style === 'orchestration') {
    return saga.steps.map((step) => ({
      name: step.name,
      service: step.service.name,
      on: null,
      does: step.action,
      refuses: null,
      compensation: step.compensation === null ? null : { on: null, does: step.compensation },
    }))
  }
  return saga.steps.map((step) => ({
    name: step.name,
    service: step.by.name,
    on: step.on?.typeName ?? null,
    does: step.emits.typeName,
    refuses: step.refuses?.typeName ?? null,
    compensation: step.compensation && {
      on: step.compensation.on.typeName,
      does: step.compensation.emits?.typeName ?? null,
    },
  }))
}
