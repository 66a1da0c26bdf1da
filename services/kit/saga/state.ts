import { type CommandStep, type OrchestrationNode, stagesOf } from '#graph/saga.ts'

/** A saga's declaration, as far as decisions go. */
export type SagaCourse = {
  readonly name: string
  /** In the order in which they run; the steps of one stage run at the same time. */
  readonly stages: readonly (readonly StepCourse[])[]
  /** The stage of the point of no return, which is a single step. */
  readonly pivot: StepCourse
  readonly timeoutMs: number
}

/** A step's declaration, as far as decisions go. */
export type StepCourse = {
  readonly name: string
  /** Done by what starts the saga. */
  readonly begun: boolean
  readonly undoable: boolean
  readonly replyWithinMs: number
}

/** How far a step is. `asked` and `undoing` wait for a reply; each is written before its command leaves. */
export type StepState =
  | { readonly phase: 'waiting' | 'done' | 'refused' | 'undone' }
  | {
      readonly phase: 'asked' | 'undoing'
      /** When it was first asked. */
      readonly sinceMs: number
      readonly attempts: number
      /** When the outcome counts as unknown, and it is asked again. */
      readonly dueMs: number
      /** What a participant said that must not refuse any more; empty otherwise. */
      readonly refusal: string
    }

/** Where a saga stands. `stuck` beside it tells that it needs somebody. */
export type SagaStatus = 'running' | 'compensating' | 'completed' | 'compensated'

/** A saga as its database holds it. */
export type SagaState = {
  readonly status: SagaStatus
  readonly startedMs: number
  /** Why it turned back; empty where it has not. */
  readonly reason: string
  readonly steps: Readonly<Record<string, StepState>>
  /** What steps told later ones, by step. */
  readonly results: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Why nobody but a human can help; empty otherwise. It goes on trying. */
  readonly stuck: string
}

/** Reads the course from the declaration. Throws where a check would have refused it. */
export function courseOf(saga: OrchestrationNode<readonly CommandStep[]>): SagaCourse {
  const stages = stagesOf(saga.steps).map((stage) => stage.map(stepCourse))
  const pivotStage = stages.find((stage) => stage.some(({ name }) => name === saga.pointOfNoReturn))
  const [pivot, ...others] = pivotStage ?? []
  if (!pivot || others.length > 0) {
    throw new Error(`The point of no return of ${saga.name}, ${saga.pointOfNoReturn}, must be a step of its own.`)
  }
  return { name: saga.name, stages, pivot, timeoutMs: saga.timeoutMs }
}

function stepCourse({ name, sends, compensation, replyWithinMs }: CommandStep): StepCourse {
  return { name, begun: sends === null, undoable: compensation !== null, replyWithinMs }
}

/** Whether nothing more happens to a saga. */
export function hasEnded({ status }: Pick<SagaState, 'status'>): boolean {
  return status === 'completed' || status === 'compensated'
}

/** Whether everything can still be undone: the point of no return was not asked for, or refused. */
export function mayTurnBack({ pivot }: SagaCourse, { status, steps }: SagaState): boolean {
  const phase = steps[pivot.name]?.phase ?? 'waiting'
  return status === 'running' && (phase === 'waiting' || phase === 'refused')
}
