import { hasEnded, mayTurnBack, type SagaCourse, type SagaState, type StepCourse, type StepState } from './state.ts'

/** What happens to a saga, and when. */
export type SagaEvent = SagaNews & { readonly atMs: number }

/** What happens to a saga. */
export type SagaNews =
  | { readonly kind: 'started' }
  | { readonly kind: 'done'; readonly step: string; readonly results: Readonly<Record<string, string>> }
  | { readonly kind: 'refused'; readonly step: string; readonly reason: string }
  | { readonly kind: 'undone'; readonly step: string }
  /** Time has passed. */
  | { readonly kind: 'due' }
  /** Somebody wants everything that waits for a reply to be asked again now. */
  | { readonly kind: 'retried' }
  /** Somebody wants it to turn back. Past the point of no return it changes nothing. */
  | { readonly kind: 'cancelled'; readonly reason: string }

/** What a participant is told. `attempt` counts from 1; the key is the same for all of them. */
export type SagaCommand = { readonly step: string; readonly does: 'act' | 'undo'; readonly attempt: number }

/** What follows from an event. Without a change of the state it came late, twice, or for nothing. */
export type Decision = { readonly state: SagaState; readonly commands: readonly SagaCommand[] }

/** Nobody answers for so long, where turning back is no way out: a human has to look. */
export const stuckAfterMs = 30_000
const againAfterMsMax = 30_000

/** A saga that is not written yet. */
export function beginning(course: SagaCourse, atMs: number): SagaState {
  const steps = course.stages
    .flat()
    .map(({ name, begun }): [string, StepState] => [name, { phase: begun ? 'done' : 'waiting' }])
  return { status: 'running', startedMs: atMs, reason: '', steps: Object.fromEntries(steps), results: {}, stuck: '' }
}

/**
 * Decides what a saga does next. Forward, each stage is asked once all before it are done; a refusal, a timeout or a cancellation
 * before the point of no return turns it back, and then stages are undone in reverse, each once those after it are. Steps
 * whose outcome is unknown are undone like those that are done: their compensation leaves a tombstone. From the point of no
 * return on, and backwards, everything is asked for until it is answered.
 */
export function decide(course: SagaCourse, before: SagaState, event: SagaEvent): Decision {
  if (hasEnded(before)) return { state: before, commands: [] }
  const heard = hear(course, before, event)
  const moved = advance(course, heard, event.atMs)
  const asked = askAgain(course, moved.state, event)
  const state = { ...asked.state, stuck: whyStuck(course, asked.state, event.atMs) }
  return { state, commands: [...moved.commands, ...asked.commands] }
}

/** When somebody has to look at a saga if nothing happens before; null where never. */
export function dueAt(course: SagaCourse, state: SagaState): number | null {
  if (hasEnded(state)) return null
  const waits = Object.values(state.steps).flatMap((step) =>
    isOpen(step) ? [step.dueMs, step.sinceMs + stuckAfterMs] : [],
  )
  const stuck = state.stuck !== '' || mayTurnBack(course, state)
  const timeouts = mayTurnBack(course, state) ? [state.startedMs + course.timeoutMs] : []
  const dues = Object.values(state.steps).flatMap((step) => (isOpen(step) ? [step.dueMs] : []))
  return Math.min(...(stuck ? dues : waits), ...timeouts)
}

/** What an event says, before anything follows from it. */
function hear(course: SagaCourse, state: SagaState, event: SagaEvent): SagaState {
  switch (event.kind) {
    case 'started':
    case 'retried':
      return state
    case 'done':
      if (state.steps[event.step]?.phase !== 'asked') return state
      return {
        ...withStep(state, event.step, { phase: 'done' }),
        results: { ...state.results, [event.step]: event.results },
      }
    case 'refused':
      return refused(course, state, event.step, event.reason)
    case 'undone':
      if (state.steps[event.step]?.phase !== 'undoing') return state
      return withStep(state, event.step, { phase: 'undone' })
    case 'due':
      if (!mayTurnBack(course, state) || event.atMs < state.startedMs + course.timeoutMs) return state
      return turnedBack(state, `not done within ${course.timeoutMs / 1_000} s`)
    case 'cancelled':
      return mayTurnBack(course, state) ? turnedBack(state, event.reason) : state
  }
}

function refused(course: SagaCourse, state: SagaState, name: string, reason: string): SagaState {
  const step = state.steps[name]
  if (step?.phase !== 'asked') return state
  const next = withStep(state, name, { phase: 'refused' })
  // After the point of no return there is no way but forward.
  return mayTurnBack(course, next) ? turnedBack(next, reason) : withStep(state, name, { ...step, refusal: reason })
}

function turnedBack(state: SagaState, reason: string): SagaState {
  return { ...state, status: 'compensating', reason }
}

/** Asks for what can be asked for now. */
function advance(course: SagaCourse, state: SagaState, atMs: number): Decision {
  return state.status === 'compensating' ? backward(course, state, atMs) : forward(course, state, atMs)
}

function forward({ stages }: SagaCourse, state: SagaState, atMs: number): Decision {
  const stage = stages.find((steps) => steps.some(({ name }) => state.steps[name]?.phase !== 'done'))
  if (!stage) return { state: { ...state, status: 'completed' }, commands: [] }
  return ask(
    state,
    stage.filter(({ name }) => state.steps[name]?.phase === 'waiting'),
    'asked',
    atMs,
  )
}

function backward({ stages }: SagaCourse, state: SagaState, atMs: number): Decision {
  for (const stage of stages.toReversed()) {
    const open = stage.filter(({ name, undoable }) => undoable && hadEffect(state.steps[name]))
    const waiting = stage.some(({ name }) => state.steps[name]?.phase === 'undoing')
    if (open.length > 0) return ask(state, open, 'undoing', atMs)
    if (waiting) return { state, commands: [] }
  }
  return { state: { ...state, status: 'compensated' }, commands: [] }
}

/** It is done, or may be. */
function hadEffect(step: StepState | undefined): boolean {
  return step?.phase === 'done' || step?.phase === 'asked'
}

function ask(state: SagaState, steps: readonly StepCourse[], phase: 'asked' | 'undoing', atMs: number): Decision {
  const does = phase === 'asked' ? 'act' : 'undo'
  const asked = steps.map(({ name, replyWithinMs }): [string, StepState] => [
    name,
    { phase, sinceMs: atMs, attempts: 1, dueMs: atMs + replyWithinMs, refusal: '' },
  ])
  return {
    state: { ...state, steps: { ...state.steps, ...Object.fromEntries(asked) } },
    commands: steps.map(({ name }) => ({ step: name, does, attempt: 1 })),
  }
}

/** Sends commands again whose outcome is unknown for too long. */
function askAgain({ stages }: SagaCourse, state: SagaState, event: SagaEvent): Decision {
  if (event.kind !== 'due' && event.kind !== 'retried') return { state, commands: [] }
  let next = state
  const commands: SagaCommand[] = []
  for (const { name, replyWithinMs } of stages.flat()) {
    const step = state.steps[name]
    // What was asked for just now need not be asked for again.
    if (!step || !isOpen(step) || (step.attempts === 1 && step.sinceMs === event.atMs)) continue
    if (event.kind === 'due' && step.dueMs > event.atMs) continue
    const attempt = step.attempts + 1
    const waitMs = Math.min(replyWithinMs * 2 ** step.attempts, Math.max(againAfterMsMax, replyWithinMs))
    next = withStep(next, name, { ...step, attempts: attempt, dueMs: event.atMs + waitMs })
    commands.push({ step: name, does: step.phase === 'asked' ? 'act' : 'undo', attempt })
  }
  return { state: next, commands }
}

function whyStuck(course: SagaCourse, state: SagaState, atMs: number): string {
  if (hasEnded(state) || mayTurnBack(course, state)) return ''
  const reasons = Object.entries(state.steps).flatMap(([name, step]) => {
    if (!isOpen(step)) return []
    const what = step.phase === 'asked' ? name : `undoing ${name}`
    if (step.refusal !== '') return `${what} was refused past the point of no return: ${step.refusal}`
    return atMs - step.sinceMs >= stuckAfterMs
      ? `${what} is not answered since ${new Date(step.sinceMs).toISOString()}`
      : []
  })
  return reasons.join('; ')
}

type OpenStep = Extract<StepState, { phase: 'asked' | 'undoing' }>

function isOpen(step: StepState): step is OpenStep {
  return step.phase === 'asked' || step.phase === 'undoing'
}

function withStep(state: SagaState, name: string, step: StepState): SagaState {
  return { ...state, steps: { ...state.steps, [name]: step } }
}
