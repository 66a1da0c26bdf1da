import type { Operation, Way } from '../app/operations.ts'
import { invalidArgument, notFound, ServiceError } from '../errors.ts'
import type { Asked, Orchestrator } from './orchestrator.ts'
import type { SagaCourse, SagaState } from './state.ts'
import { list, story } from './store.ts'

const listMax = 200

/** An orchestrator, whatever starts its sagas. */
type Led = Pick<Orchestrator<never>, 'course' | 'database' | 'retry' | 'cancel'>

const statuses = ['running', 'compensating', 'completed', 'compensated', 'stuck', 'unfinished']

/** The ways to ask about sagas. */
export const sagasWays: readonly Way[] = [
  { verb: 'GET', path: 'SAGA', what: `how its sagas stand; status=${statuses.join('|')}` },
  { verb: 'GET', path: 'SAGA/ID', what: 'the steps of one, and all that happened to it' },
  { verb: 'POST', path: 'SAGA/ID/retry', what: 'asks again at once for all that is not answered' },
  { verb: 'POST', path: 'SAGA/ID/cancel', what: 'turns it back; reason=…' },
]

/**
 * What an operator may ask of the sagas that this service leads, under `/sagas`: `not-found` where there is no such saga,
 * `failed-precondition` where it is too late.
 */
export function sagasOperation(...orchestrators: readonly Led[]): Operation {
  return async ({ verb, path, query, body }) => {
    const [name, sagaId, wish = ''] = path
    const sagas = orchestrators.find(({ course }) => course.name === name)
    if (!sagas)
      throw notFound(`No saga ${name} is led here, only: ${orchestrators.map(({ course }) => course.name).join(', ')}.`)
    const { database, course } = sagas
    if (sagaId === undefined && verb === 'GET') {
      const status = query.get('status')
      // Whoever misspells it must not read that none is stuck.
      if (status !== null && !statuses.includes(status)) {
        throw invalidArgument(`There is no status ${status.slice(0, 64)}, only: ${statuses.join(', ')}.`)
      }
      const found = await list(database, course.name, status, listMax + 1)
      return { sagas: found.slice(0, listMax), more: found.length > listMax }
    }
    switch (`${verb} ${wish}`) {
      case 'GET ':
        return shown(sagas, sagaId ?? '')
      case 'POST retry':
        return answered(await sagas.retry(sagaId ?? ''), sagaId ?? '')
      case 'POST cancel': {
        const reason = typeof body.reason === 'string' && body.reason !== '' ? body.reason : 'cancelled by an operator'
        return answered(await sagas.cancel(sagaId ?? '', reason.slice(0, 500)), sagaId ?? '')
      }
      default:
        throw new ServiceError(
          'unimplemented',
          'Ask GET /sagas/SAGA, GET /sagas/SAGA/ID, POST /sagas/SAGA/ID/retry or …/cancel.',
        )
    }
  }
}

async function shown({ database, course }: Led, sagaId: string): Promise<object> {
  const found = await story(database, course.name, sagaId)
  if (!found) return answered('unknown', sagaId)
  return { ...found, steps: inOrder(course, found.steps) }
}

/** As an object of the database the steps have lost their order. */
function inOrder({ stages }: SagaCourse, steps: SagaState['steps']): readonly object[] {
  return stages.flat().map(({ name }) => ({ name, ...steps[name] }))
}

function answered(asked: Asked, sagaId: string): object {
  switch (asked) {
    case 'done':
      return { sagaId }
    case 'unknown':
      throw notFound(`There is no saga ${sagaId.slice(0, 64)}.`)
    case 'ended':
      throw new ServiceError('failed-precondition', `The saga ${sagaId} has ended.`)
    case 'past the point of no return':
      throw new ServiceError(
        'failed-precondition',
        `The saga ${sagaId} is past its point of no return: it can only be finished.`,
      )
  }
}
