import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import type { Redelivery } from './policy.ts'

/** A stream of events with exactly one owner: the service that lists it in `publishes`. */
export type TopicNode<N extends string = string, M extends DescMessage = DescMessage> = {
  readonly kind: 'topic'
  readonly name: N
  readonly carries: readonly M[]
  /** The field whose value decides the partition, and so what stays in order; null where order does not matter. */
  readonly key: string | null
  readonly partitions: number | undefined
  readonly retentionMs: number | undefined
}

/** The fields that every one of the messages has, as a string: what may serve as a key. */
export type KeyField<M extends DescMessage> = M extends DescMessage
  ? { [K in keyof MessageShape<M>]: MessageShape<M>[K] extends string ? K : never }[keyof MessageShape<M>]
  : never
type CommonKeyField<M extends DescMessage> = Exclude<KeyField<M>, '$typeName'> & FieldOfAll<M>
type FieldOfAll<M extends DescMessage> = keyof MessageShape<M>

/**
 * Declares a topic.
 * - `carries`: the descriptors of its events, no others can be published to or consumed from it.
 * - `key`: a string field of every event, or null where order does not matter (a check asks why).
 * - `partitions`: default by environment, 3. `retentionMs`: default seven days.
 */
export function topic<const N extends string, const M extends DescMessage>(
  name: N,
  spec: { carries: readonly M[]; key: CommonKeyField<M> | null; partitions?: number; retentionMs?: number },
): TopicNode<N, M> {
  const { carries, key, partitions, retentionMs } = spec
  return { kind: 'topic', name, carries, key: key as string | null, partitions, retentionMs }
}

/** How a group of consumers takes events from a topic. */
export type ConsumePolicy = {
  /** The consumer group. Default: the name of the service. */
  readonly group?: string
  /** Partitions handled at once by one replica. Default: 3. */
  readonly concurrency?: number
  /**
   * How long events gather before they are fetched where some were fetched just now, 1,000 ms at most: for effects that nobody waits
   * for. Of several edges of a group the shortest counts. Default: 0.
   */
  readonly gatherMs?: number
  /** Attempts before an event becomes a dead letter. Default: 5, 100 ms to 5 s. */
  readonly redelivery?: Redelivery
  /** Where an event goes whose attempts are used up. `false` drops it, which a check refuses. Default: true. */
  readonly deadLetter?: boolean
  /** Whether seeing an event twice has one effect, by the kit's inbox. Default: true; a check refuses false. */
  readonly idempotent?: boolean
  /** Whether the effects can be built again from the topic's start. Default: false. */
  readonly replayable?: boolean
}

/** An asynchronous edge: this service takes these events of that topic. */
export type ConsumeEdge<T extends TopicNode = TopicNode, M extends DescMessage = DescMessage> = {
  readonly kind: 'consumes'
  readonly topic: T
  readonly messages: readonly M[]
  readonly policy: ConsumePolicy
}

/** Declares that a service consumes some of a topic's events; the others it skips. */
export function consumes<const T extends TopicNode, const M extends T['carries'][number]>(
  topic: T,
  messages: readonly M[],
  policy: ConsumePolicy = {},
): ConsumeEdge<T, M> {
  return { kind: 'consumes', topic, messages, policy }
}
