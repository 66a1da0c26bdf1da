import type { DescMessage } from '@bufbuild/protobuf'
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
  /** How it is undone; null after the point of no return. */
  readonly compensation: { readonly on: DescMessage; readonly emits: DescMessage | null } | null
}

/** One step of an orchestrated saga: a call, and the call that undoes it, by the methods' full names. */
export type OrchestrationStep = {
  readonly name: string
  readonly service: ServiceNode
  readonly action: string
  readonly compensation: string | null
}

/** A transaction over several services. */
export type SagaNode =
  | {
      readonly kind: 'saga'
      readonly style: 'choreography'
      readonly name: string
      readonly steps: readonly ChoreographyStep[]
      /** The step after which nothing is undone, only finished. */
      readonly pointOfNoReturn: string
      /** How long until a saga that has not ended is ended by its first service. */
      readonly timeoutMs: number
    }
  | {
      readonly kind: 'saga'
      readonly style: 'orchestration'
      readonly name: string
      readonly by: ServiceNode
      readonly steps: readonly OrchestrationStep[]
      readonly pointOfNoReturn: string
      readonly timeoutMs: number
    }

type StepSpec = {
  on?: DescMessage
  emits: DescMessage
  refuses?: DescMessage
  compensation?: { on: DescMessage; emits?: DescMessage }
}

/** A step of a choreography. `compensation.on` is the event at which it is undone. */
export function step(name: string, by: ServiceNode, spec: StepSpec): ChoreographyStep {
  const { on = null, emits, refuses = null, compensation } = spec
  return {
    name,
    by,
    on,
    emits,
    refuses,
    compensation: compensation ? { on: compensation.on, emits: compensation.emits ?? null } : null,
  }
}

/** Declares a saga by choreography, right for up to four steps. `timeoutMs` defaults to 60 s. */
export function choreography<const S extends readonly ChoreographyStep[]>(
  name: string,
  spec: { steps: S; pointOfNoReturn: S[number]['name']; timeoutMs?: number },
): SagaNode {
  const { steps, pointOfNoReturn, timeoutMs = 60_000 } = spec
  return { kind: 'saga', style: 'choreography', name, steps, pointOfNoReturn, timeoutMs }
}

/** A step of an orchestration: the methods are those of an interface that the service exposes. */
export function action(
  name: string,
  service: ServiceNode,
  spec: { action: string; compensation?: string },
): OrchestrationStep {
  return { name, service, action: spec.action, compensation: spec.compensation ?? null }
}

/** Declares a saga by orchestration, for more than four steps. `timeoutMs` defaults to 60 s. */
export function orchestration(
  name: string,
  spec: { by: ServiceNode; steps: readonly OrchestrationStep[]; pointOfNoReturn: string; timeoutMs?: number },
): SagaNode {
  const { by, steps, pointOfNoReturn, timeoutMs = 60_000 } = spec
  return { kind: 'saga', style: 'orchestration', name, by, steps, pointOfNoReturn, timeoutMs }
}
