import type { DescMessage } from '@bufbuild/protobuf'
import { resolveRedelivery } from '#graph/defaults.ts'
import type { QueueNode, WorkEdge } from '#graph/queue.ts'
import type { QueueOf, ServiceNode } from '#graph/service.ts'
import type { Database } from '../store/database.ts'
import { type AnyHandler, type Handlers, handlersByType } from './handlers.ts'
import type { Transactions } from './handling.ts'

/** A queue with everything that is done about its tasks. Started by `startMessaging`. */
export type Worker = {
  readonly queue: QueueNode
  readonly database: Transactions
  readonly redelivery: ReturnType<typeof resolveRedelivery>
  /** Tasks in hand at once. */
  readonly prefetch: number
  readonly handlers: ReadonlyMap<string, AnyHandler>
}

/** A queue whose tasks nobody waits for; those with replies are for `answerer`. */
type Tasks = QueueNode<string, DescMessage, null>

/**
 * Says how a service does the tasks of a queue that it declared to work: one handler for each kind, by name, in the same
 * forms as a consumer's. Replicas compete for the tasks; a task has its effect once, in no particular order. Where a
 * handler throws, the task waits in a retry queue and is tried again as the queue declares, and then becomes a dead letter.
 */
export function worker<const S extends ServiceNode, const Q extends QueueOf<S, 'works'> & Tasks, Tables>(
  node: S,
  queue: Q,
  database: Database<Tables>,
  handlers: Handlers<Q['carries'][number] & DescMessage, Tables>,
): Worker {
  const edge = workEdges(node).find((candidate) => candidate.queue.name === queue.name)
  return {
    queue,
    database,
    redelivery: resolveRedelivery(queue.redelivery),
    prefetch: edge?.policy.prefetch ?? 10,
    handlers: handlersByType(queue.carries, handlers),
  }
}

/** The working edges of a service. */
export function workEdges(node: ServiceNode): readonly WorkEdge[] {
  return (node.spec.edges ?? []).filter((edge) => edge.kind === 'works')
}
