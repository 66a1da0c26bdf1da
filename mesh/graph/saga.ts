import type { DescMessage } from '@bufbuild/protobuf'
import type { QueueNode } from './queue.ts'
import type { ServiceNode } from './service.ts'

/** One step of a choreographed saga: a service reacts to an event with an event of its own. */
export type ChoreographyStep = {
  readonly name: string
  readonly by: ServiceNode
  /** The event that starts it; null for the first step, which a request starts. */
  readonly on: DescMessage | null
  /** The event that says it is done. */
  readonly emits: DescMessage
  /** The event that says it cannot be done; null where it always can. */
  readonly refuses: DescMessage | null
  /** How it is undone, and at which events; null after the point of no return. */
  readonly compensation: { readonly on: readonly DescMessage[]; readonly emits: DescMessage | null } | null
}

/** A step that an orchestrator of one's own makes by calls: a method, and the one that undoes it, by their full names. */
export type CallStep = {
  readonly kind: 'call'
  readonly name: string
  readonly service: ServiceNode
  readonly action: string
  readonly compensation: string | null
}

/**
 * A step that is asked for by a command on a queue, which is what the kit's orchestrator runs: a command outlives a crash of
 * either side, and the orchestrator has as many participants as it likes without a single synchronous callee.
 */
export type CommandStep<
  N extends string = string,
  D extends DescMessage | null = DescMessage | null,
  U extends DescMessage | null = DescMessage | null,
> = {
  readonly kind: 'command'
  readonly name: N
  readonly service: ServiceNode
  /** The queue on which the service takes its commands. */
  readonly via: QueueNode
  /** The command; null where `on` says that the step is done. */
  readonly sends: D
  /** The event that starts the saga, after which the first step is done already; null for all others. */
  readonly on: DescMessage | null
  /** The command that undoes it; null from the point of no return on. */
  readonly compensation: U
  /** Whether it runs at the same time as the step before it. */
  readonly alongside: boolean
  /** After so long without a reply the outcome is unknown, and the command is sent again under the same key. */
  readonly replyWithinMs: number
}

/** One step of an orchestrated saga. */
export type OrchestrationStep = CallStep | CommandStep

/** A saga that one service leads step by step. */
export type OrchestrationNode<S extends readonly OrchestrationStep[] = readonly OrchestrationStep[]> = {
  readonly kind: 'saga'
  readonly style: 'orchestration'
  readonly name: string
  readonly by: ServiceNode
  /** The queue on which participants reply to commands; null where all steps are calls. */
  readonly replies: QueueNode | null
  readonly steps: S
  readonly pointOfNoReturn: string
  /** How long until a saga that may still turn back does. */
  readonly timeoutMs: number
}

/** A saga without a leader: services react to each other's events. */
export type ChoreographyNode = {
  readonly kind: 'saga'
  readonly style: 'choreography'
  readonly name: string
  readonly steps: readonly ChoreographyStep[]
  /** The step after which nothing is undone, only finished. */
  readonly pointOfNoReturn: string
  /** How long until a saga that has not ended is ended by its first service. */
  readonly timeoutMs: number
}

/** A transaction over several services. */
export type SagaNode = ChoreographyNode | OrchestrationNode

type StepSpec = {
  on?: DescMessage
  emits: DescMessage
  refuses?: DescMessage
  compensation?: { on: DescMessage | readonly DescMessage[]; emits?: DescMessage }
}

/** A step of a choreography. `compensation.on` is the event at which it is undone, or several. */
export function step(name: string, by: ServiceNode, spec: StepSpec): ChoreographyStep {
  const { on = null, emits, refuses = null, compensation } = spec
  return {
    name,
    by,
    on,
    emits,
    refuses,
    compensation: compensation ? { on: [compensation.on].flat(), emits: compensation.emits ?? null } : null,
  }
}

/** Declares a saga by choreography, right for up to four steps. `timeoutMs` defaults to 60 s. */
export function choreography<const S extends readonly ChoreographyStep[]>(
  name: string,
  spec: { steps: S; pointOfNoReturn: S[number]['name']; timeoutMs?: number },
): ChoreographyNode {
  const { steps, pointOfNoReturn, timeoutMs = 60_000 } = spec
  return { kind: 'saga', style: 'choreography', name, steps, pointOfNoReturn, timeoutMs }
}

const replyWithinDefaultMs = 5_000

/** A step of an orchestration by calls: the methods are those of an interface that the service exposes. */
export function action(name: string, service: ServiceNode, spec: { action: string; compensation?: string }): CallStep {
  return { kind: 'call', name, service, action: spec.action, compensation: spec.compensation ?? null }
}

/**
 * A step of an orchestration by commands.
 * - `via`: the queue that the service works. `sends` and `compensation` are carried by it, with a `parley.saga.v1.StepRef` as
 *   the field `step`, which the service's reply repeats.
 * - `on` instead of `sends`, for the first step only: the service's event that starts the saga.
 * - `alongside`: runs at the same time as the step before it. Default false.
 * - `replyWithinMs`: after it the command is sent again, under the same key, each time after twice as long. Default 5 s.
 */
export function command<
  const N extends string,
  const D extends DescMessage | null = null,
  const U extends DescMessage | null = null,
>(
  name: N,
  service: ServiceNode,
  spec: {
    via: QueueNode
    sends?: D
    on?: DescMessage
    compensation?: U
    alongside?: boolean
    replyWithinMs?: number
  },
): CommandStep<N, D, U> {
  const { via, sends, on = null, compensation, alongside = false, replyWithinMs = replyWithinDefaultMs } = spec
  return {
    kind: 'command',
    name,
    service,
    via,
    sends: (sends ?? null) as D,
    on,
    compensation: (compensation ?? null) as U,
    alongside,
    replyWithinMs,
  }
}

/**
 * Declares a saga by orchestration, for more than four steps. `by` leads it; `replies` is the queue on which participants answer
 * commands. `timeoutMs` defaults to 60 s.
 */
export function orchestration<const S extends readonly OrchestrationStep[]>(
  name: string,
  spec: {
    by: ServiceNode
    replies?: QueueNode
    steps: S
    pointOfNoReturn: S[number]['name']
    timeoutMs?: number
  },
): OrchestrationNode<S> {
  const { by, replies = null, steps, pointOfNoReturn, timeoutMs = 60_000 } = spec
  return { kind: 'saga', style: 'orchestration', name, by, replies, steps, pointOfNoReturn, timeoutMs }
}

/** The steps of a saga by commands in the order in which they run: those of one stage run at the same time. */
export function stagesOf(steps: readonly CommandStep[]): readonly (readonly CommandStep[])[] {
  const stages: CommandStep[][] = []
  for (const each of steps) {
    const last = stages.at(-1)
    if (each.alongside && last) last.push(each)
    else stages.push([each])
  }
  return stages
}
