import type { AdminAnswer, AdminRequest, AdminRoute } from '../app/admin.ts'
import type { Asked, Orchestrator } from './orchestrator.ts'
import type { SagaCourse, SagaState } from './state.ts'
import { list, story } from './store.ts'

const listMax = 200

/**
 * What an operator may ask of the sagas of this service: `GET /sagas/SAGA?status=…` (running, compensating, completed, compensated,
 * stuck, unfinished), `GET /sagas/SAGA/ID`, `POST /sagas/SAGA/ID/retry`, `POST /sagas/SAGA/ID/cancel?reason=…`. 404 where there
 * is no such saga, 409 where it is too late.
 */
export function sagasRoute(...orchestrators: readonly Led[]): AdminRoute {
  return async ({ method, path, query }: AdminRequest): Promise<AdminAnswer> => {
    const [name, sagaId, verb = ''] = path
    const sagas = orchestrators.find(({ course }) => course.name === name)
    const led = orchestrators.map(({ course }) => course.name).join(', ')
    if (!sagas) return { status: 404, body: { error: `No saga ${name} is led here, only: ${led}.` } }
    const { database, course } = sagas
    if (sagaId === undefined) {
      if (method !== 'GET') return unknownVerb
      return { status: 200, body: { sagas: await list(database, course.name, query.get('status'), listMax) } }
    }
    switch (`${method} ${verb}`) {
      case 'GET ': {
        const found = await story(database, course.name, sagaId)
        return found
          ? { status: 200, body: { ...found, steps: inOrder(course, found.steps) } }
          : answerOf('unknown', sagaId)
      }
      case 'POST retry':
        return answerOf(await sagas.retry(sagaId), sagaId)
      case 'POST cancel':
        return answerOf(await sagas.cancel(sagaId, query.get('reason') || 'cancelled by an operator'), sagaId)
      default:
        return unknownVerb
    }
  }
}

/** An orchestrator, whatever starts its sagas. */
type Led = Pick<Orchestrator<never>, 'course' | 'database' | 'retry' | 'cancel'>

const unknownVerb: AdminAnswer = {
  status: 404,
  body: { error: 'Ask GET /sagas/SAGA, GET /sagas/SAGA/ID, POST /sagas/SAGA/ID/retry or /cancel.' },
}

function inOrder({ stages }: SagaCourse, steps: SagaState['steps']): readonly object[] {
  return stages.flat().map(({ name }) => ({ name, ...steps[name] }))
}

function answerOf(asked: Asked, sagaId: string): AdminAnswer {
  switch (asked) {
    case 'done':
      return { status: 200, body: { sagaId } }
    case 'unknown':
      return { status: 404, body: { error: `There is no saga ${sagaId}.` } }
    case 'ended':
      return { status: 409, body: { error: `The saga ${sagaId} has ended.` } }
    case 'past the point of no return':
      return {
        status: 409,
        body: { error: `The saga ${sagaId} is past its point of no return: it can only be finished.` },
      }
  }
}
