import type { DescMessage } from '@bufbuild/protobuf'
import type { OrchestrationStep, SagaNode } from '#graph/saga.ts'
import type { ServiceNode } from '#graph/service.ts'
import type { SystemNode } from '#graph/system.ts'
import { byName, edgesOf } from './edges.ts'
import { type Owner, serviceOwner } from './rule.ts'

/** A saga by choreography. */
export type Choreography = Extract<SagaNode, { style: 'choreography' }>

/** A saga by orchestration. */
export type Orchestration = Extract<SagaNode, { style: 'orchestration' }>

/** A step of either style, as far as undoing goes. */
export type StepFacts = {
  readonly name: string
  readonly service: ServiceNode
  readonly undone: boolean
  readonly refuses: DescMessage | null
}

/** The steps of either style. */
export function stepsOf(saga: SagaNode): StepFacts[] {
  return saga.style === 'choreography'
    ? saga.steps.map(({ name, by, refuses, compensation }) => ({
        name,
        service: by,
        undone: compensation !== null,
        refuses,
      }))
    : saga.steps.map(({ name, service, compensation }: OrchestrationStep) => ({
        name,
        service,
        undone: compensation !== null,
        refuses: null,
      }))
}

/** The place of the point of no return; -1 where no step has its name. */
export function pivotOf(saga: SagaNode): number {
  return saga.steps.findIndex((step) => step.name === saga.pointOfNoReturn)
}

/** The names of all services that take part, the orchestrator included. */
export function participantsOf(saga: SagaNode): Set<string> {
  const names = stepsOf(saga).map((step) => step.service.name)
  return new Set(saga.style === 'orchestration' ? [saga.by.name, ...names] : names)
}

/** Who may accept what is found in a choreography: its services. */
export function choreographyOwners(saga: Choreography): Owner[] {
  return byName(saga.steps.map((step) => step.by)).map(serviceOwner)
}

/** The service as the system has it, which decides what it publishes and consumes; null where it has none. */
export function inSystem(system: SystemNode, service: ServiceNode): ServiceNode | null {
  return system.services.find((other) => other.name === service.name) ?? null
}

/** Whether a service owns a topic that carries the event. */
export function publishes(service: ServiceNode, event: DescMessage): boolean {
  return (service.spec.publishes ?? []).some((topic) => carries(topic.carries, event))
}

/** Whether a service has an edge that takes the event. */
export function takes(service: ServiceNode, event: DescMessage): boolean {
  return edgesOf(service, 'consumes').some((edge) => carries(edge.messages, event))
}

function carries(messages: readonly DescMessage[], event: DescMessage): boolean {
  return messages.some((message) => message.typeName === event.typeName)
}
