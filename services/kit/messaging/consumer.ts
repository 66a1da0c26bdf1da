import type { DescMessage } from '@bufbuild/protobuf'
import { resolveConsume } from '#graph/defaults.ts'
import type { ConsumedMessage, ConsumedTopic, ServiceNode } from '#graph/service.ts'
import type { ConsumeEdge, TopicNode } from '#graph/topic.ts'
import type { Database } from '../store/database.ts'
import { type AnyHandler, type Handlers, handlersByType } from './handlers.ts'
import type { Transactions } from './handling.ts'

/** A topic with everything that is done about its events. Started by `startMessaging`. */
export type Consumer = {
  readonly topic: TopicNode
  readonly database: Transactions
  readonly policy: ReturnType<typeof resolveConsume>
  readonly handlers: ReadonlyMap<string, AnyHandler>
}

/**
 * Says what a service does about the events that it declared to consume from a topic: one handler for each, by name.
 * Events of the topic that were not declared, or that their handler ignores, are skipped.
 *
 * Every event has its effect once: handlers run in the transaction that remembers the event. Events of one key keep their
 * order. Where a handler throws, the event is tried again as the edge declares, and then becomes a dead letter; later
 * events of its key follow it there.
 */
export function consumer<const S extends ServiceNode, const T extends ConsumedTopic<S> & TopicNode, Tables>(
  node: S,
  topic: T,
  database: Database<Tables>,
  handlers: Handlers<ConsumedMessage<S, T> & DescMessage, Tables>,
): Consumer {
  const edges = consumeEdges(node).filter((edge) => edge.topic.name === topic.name)
  const messages = edges.flatMap((edge) => edge.messages)
  return {
    topic,
    database,
    policy: resolveConsume(node.name, edges[0]?.policy ?? {}),
    handlers: handlersByType(messages, handlers),
  }
}

/** The consuming edges of a service. */
export function consumeEdges(node: ServiceNode): readonly ConsumeEdge[] {
  return (node.spec.edges ?? []).filter((edge) => edge.kind === 'consumes')
}
