import { table } from './table.ts'

/** A saga in a list, as its leader tells. Times are ISO 8601. */
export type SagaSummary = {
  readonly saga: string
  readonly sagaId: string
  readonly status: string
  /** Why a human has to look; empty otherwise. */
  readonly stuck: string
  readonly reason: string
  readonly startedAt: string
  readonly endedAt: string | null
}

/** A saga with its steps and all that happened to it. */
export type SagaStory = SagaSummary & {
  readonly steps: readonly { readonly name: string; readonly phase: string; readonly attempts?: number }[]
  readonly correlationId: string
  readonly traceparent: string | null
  readonly log: readonly {
    readonly at: string
    readonly event: { readonly kind: string; readonly step?: string; readonly reason?: string }
    readonly commands: readonly string[]
  }[]
}

/** Sagas as a table. */
export function sagaTable(sagas: readonly SagaSummary[]): string {
  if (sagas.length === 0) return 'There is none.'
  const rows = sagas.map((one) => [
    one.saga,
    one.sagaId,
    shown(one),
    one.startedAt,
    duration(one),
    one.stuck || one.reason,
  ])
  return table([['SAGA', 'ID', 'STATUS', 'STARTED', 'TOOK', ''], ...rows]).join('\n')
}

/** How a step stands: what has not begun when all is over never will. */
export function phaseInWords(phase: string, ended: boolean): string {
  return phase === 'waiting' && ended ? 'not reached' : phase
}

/** One saga for a person: its steps, then its log. */
export function sagaStoryText(story: SagaStory): string {
  const steps = story.steps.map(({ name, phase, attempts = 1 }) => [
    name,
    phaseInWords(phase, story.endedAt !== null),
    attempts > 1 ? `${attempts} attempts` : '',
  ])
  const log = story.log.map(({ at, event, commands }) => [
    at,
    happened(event),
    commands.map((each) => `→ ${each}`).join('  '),
  ])
  const traceId = story.traceparent?.split('-')[1]
  return [
    `${story.saga} ${story.sagaId} is ${shown(story)}${story.reason ? ` (${story.reason})` : ''}.`,
    ...(story.stuck ? [`  ${story.stuck}. Ask again at once: bin/parley saga retry ${story.sagaId}`] : []),
    ...(traceId ? [`  trace ${traceId}`] : []),
    '',
    ...table([['STEP', 'IS', ''], ...steps]),
    '',
    ...table([['AT', 'HAPPENED', 'ASKED FOR'], ...log]),
  ].join('\n')
}

/** What is stuck is neither running nor undone, whatever its direction. */
function shown({ status, stuck }: SagaSummary): string {
  return stuck ? `stuck ${status}` : status
}

function happened({ kind, step, reason }: SagaStory['log'][number]['event']): string {
  return [step, kind, reason ? `(${reason})` : ''].filter(Boolean).join(' ')
}

function duration({ startedAt, endedAt }: SagaSummary): string {
  return endedAt === null ? '-' : `${((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000).toFixed(2)} s`
}
