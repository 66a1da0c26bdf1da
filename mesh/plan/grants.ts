import { replayGroup } from '#graph/names.ts'
import type { Plan } from './plan.ts'

/**
 * Who may do what: the whole of it. Whatever is not here is refused, by the mesh, the broker, the queue server and the
 * database alike. Evaluators and access tests hold every identity against it.
 */
export type Grants = {
  readonly calls: readonly CallGrant[]
  readonly topics: readonly TopicGrant[]
  readonly groups: readonly { readonly service: string; readonly group: string }[]
  readonly queues: readonly QueueGrant[]
  readonly databases: readonly { readonly service: string; readonly database: string }[]
  readonly egress: readonly { readonly service: string; readonly external: string }[]
}

/** A service may call a method of another. */
export type CallGrant = { readonly from: string; readonly to: string; readonly verb: string; readonly path: string }

/** A service may read or write a topic. */
export type TopicGrant = { readonly service: string; readonly topic: string; readonly operation: 'read' | 'write' }

/** A service may put into a queue, work it, or ask through it (which is to put, and to have a reply queue of its own). */
export type QueueGrant = {
  readonly service: string
  readonly queue: string
  readonly operation: 'send' | 'work' | 'ask'
}

/** Derives the grants from the edges, and from nothing else. */
export function deriveGrants(
  plan: Pick<Plan, 'links' | 'topics' | 'subscriptions' | 'queues' | 'stores' | 'egress'>,
): Grants {
  const { links, topics, subscriptions, queues, stores, egress } = plan
  return {
    calls: links.flatMap(({ from, to, routes }) =>
      routes.flatMap(({ methods }) => methods.map(({ verb, path }) => ({ from, to, verb, path }))),
    ),
    topics: [
      ...topics.map(({ owner, name }): TopicGrant => ({ service: owner, topic: name, operation: 'write' })),
      ...subscriptions.flatMap(({ service, topic, deadLetterTopic }): TopicGrant[] => [
        { service, topic, operation: 'read' },
        // A service reads its own dead letters, to list and to replay them.
        ...(deadLetterTopic ? [{ service, topic: deadLetterTopic, operation: 'read' as const }] : []),
      ]),
    ],
    groups: groupsOf(subscriptions),
    queues: queues.flatMap(({ name, worker, senders, askers }): QueueGrant[] => [
      ...senders.map((service): QueueGrant => ({ service, queue: name, operation: 'send' })),
      ...(worker ? [{ service: worker, queue: name, operation: 'work' as const }] : []),
      ...askers.map(({ service }): QueueGrant => ({ service, queue: name, operation: 'ask' })),
    ]),
    databases: stores.map(({ role, database }) => ({ service: role, database })),
    egress: egress.map(({ from, external }) => ({ service: from, external })),
  }
}

/** Each group of each service once, however many topics it reads; with a second one where it may rebuild its state. */
function groupsOf(subscriptions: Plan['subscriptions']): Grants['groups'] {
  const groups = subscriptions.flatMap(({ service, group, replayable }) =>
    [group, ...(replayable ? [replayGroup(group)] : [])].map(
      (name) => [`${service} ${name}`, { service, group: name }] as const,
    ),
  )
  return [...new Map(groups).values()]
}
