import type { Plan } from '#plan/plan.ts'
import type { Layout } from '../layout.ts'
import { kafkaPart } from './kafka.ts'
import type { Part, PartTools } from './part.ts'
import { postgresPart } from './postgres.ts'
import { prometheusPart } from './prometheus.ts'
import { rabbitmqPart } from './rabbitmq.ts'
import { zipkinPart } from './zipkin.ts'

/**
 * The parts that a plan needs, the slowest first. None needs another; a service needs those that `needsOf` names.
 * Certificates must be there before they start.
 */
export function partsOf(plan: Plan, layout: Layout, tools: PartTools): readonly Part[] {
  const parts = [
    kafkaPart(plan, layout, tools),
    rabbitmqPart(plan, layout, tools),
    postgresPart(plan, layout, tools),
    zipkinPart(plan, layout, tools),
    prometheusPart(plan, layout, tools),
  ]
  return parts.filter((part) => part !== null)
}

/** The parts without which a service cannot work. Telemetry is not among them: it may come later, or not at all. */
export function needsOf({ grants }: Pick<Plan, 'grants'>, service: string): readonly string[] {
  const has = (...lists: readonly (readonly { readonly service: string }[])[]) =>
    lists.flat().some((grant) => grant.service === service)
  return [
    ...(has(grants.topics, grants.groups) ? ['kafka'] : []),
    ...(has(grants.databases) ? ['postgres'] : []),
    ...(has(grants.queues) ? ['rabbitmq'] : []),
  ]
}
