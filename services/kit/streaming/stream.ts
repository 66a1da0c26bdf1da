import type { DescMessage } from '@bufbuild/protobuf'
import { resolveConsume } from '#graph/defaults.ts'
import type { ConsumedMessage, ConsumedTopic, ServiceNode } from '#graph/service.ts'
import type { TopicNode } from '#graph/topic.ts'
import { type Consumer, consumeEdges } from '../messaging/consumer.ts'
import type { AnyHandler, MessageNamed, NameOf } from '../messaging/handlers.ts'
import type { Transactions } from '../messaging/handling.ts'
import type { AnyTx } from '../store/database.ts'
import type { Occurrence, Turn } from './fold.ts'
import { applyLetter } from './letters.ts'
import type { Windows } from './window.ts'

/**
 * What an event means: pure, for it is done again in a replay. Its `counts` are added to the window of the event's time.
 * It must bear to be told an event that the state knows already, as a replay from the middle does.
 */
export type Reaction<M, State> = (state: State | undefined, message: M, at: Occurrence) => Turn<State>

/** One reaction for every message that was declared to be consumed from a topic, by the message's name. */
export type Reactions<D extends DescMessage, State> = {
  readonly [N in NameOf<D>]: Reaction<MessageNamed<D, N>, State>
}

/** A topic that a stream reads, with what its events mean. */
export type Input<State> = {
  readonly topic: TopicNode
  readonly policy: ReturnType<typeof resolveConsume>
  readonly reactions: ReadonlyMap<string, { readonly schema: DescMessage; readonly react: Reaction<never, State> }>
}

/** A window that has closed, or was closed and has changed since. */
export type ClosedWindow = {
  readonly startsMs: number
  readonly endsMs: number
  /** From 1; a correction has the next one. */
  readonly revision: number
  readonly counts: Readonly<Record<string, bigint>>
  /** Unique to this result: the id of an event that tells it. */
  readonly id: string
}

/** What a stream is made of. */
export type StreamSpec<State> = {
  /** Of its rows, operations and metrics. */
  readonly name: string
  readonly inputs: readonly Input<State>[]
  readonly windows: Partial<Windows> & {
    readonly sizeMs: number
    /** The topics whose events count, and whose time closes windows. */
    readonly of: readonly TopicNode[]
    /** How long states and results are kept after the last event. Default: eight days, a day more than topics are kept. */
    readonly keepMs?: number
  }
  /** Publishes what follows from an event, with the transaction of its effect; not in a replay. `id` follows from the event's. */
  readonly changed?: (tx: AnyTx, state: State, cause: { readonly at: Occurrence; readonly id: string }) => void
  /** Publishes the result of a window, with the transaction that closes it; not in a replay. */
  readonly closed?: (tx: AnyTx, window: ClosedWindow) => void
}

/** A stream as `startMessaging` takes it. */
export type Stream = StreamParts & {
  /** How a dead letter of it is handled after all. */
  readonly letters: readonly Consumer[]
}

/** What is known of a stream. */
export type StreamParts = {
  readonly name: string
  readonly node: ServiceNode
  readonly database: Transactions
  readonly group: string
  readonly inputs: ReadonlyMap<string, Input<unknown>>
  readonly windows: Windows
  /** The names of the topics whose events count. */
  readonly counting: ReadonlySet<string>
  readonly keepMs: number
  readonly changed: (tx: AnyTx, state: unknown, cause: { readonly at: Occurrence; readonly id: string }) => void
  readonly closed: (tx: AnyTx, window: ClosedWindow) => void
}

const defaults = { latenessMs: 10_000, idleMs: 10_000, keepMs: 8 * 86_400_000 } as const

/** Says what a service's events of one topic mean to a stream. */
export function input<const S extends ServiceNode, const T extends ConsumedTopic<S> & TopicNode, State>(
  node: S,
  topic: T,
  reactions: Reactions<ConsumedMessage<S, T> & DescMessage, State>,
): Input<State> {
  const edges = consumeEdges(node).filter((edge) => edge.topic.name === topic.name)
  const given: Readonly<Record<string, unknown>> = reactions
  const entries = edges.flatMap(({ messages }) =>
    messages.map(
      (schema) => [schema.typeName, { schema, react: given[schema.name] as Reaction<never, State> }] as const,
    ),
  )
  return { topic, policy: resolveConsume(node.name, edges[0]?.policy ?? {}), reactions: new Map(entries) }
}

/**
 * A processor of events: keeps a state for each key, adds up windows of event time, and publishes what follows. Each batch of
 * a partition is one transaction with the partition's new offset, so every event has its effect once, whatever crashes. State that is older than
 * what is kept is forgotten. Events that cannot be read, or whose reaction throws, become dead letters, and their successors go on.
 */
export function stream<State>(node: ServiceNode, database: Transactions, spec: StreamSpec<State>): Stream {
  const { of, keepMs = defaults.keepMs, sizeMs } = spec.windows
  const { latenessMs = defaults.latenessMs, idleMs = defaults.idleMs } = spec.windows
  const inputs = new Map(spec.inputs.map((each) => [each.topic.name, each as unknown as Input<unknown>]))
  const groups = new Set(spec.inputs.map(({ policy }) => policy.group))
  const [group, ...others] = groups
  if (group === undefined || others.length > 0) {
    throw new Error(`The stream ${spec.name} reads as one group: declare the same for each of its topics.`)
  }
  const made: StreamParts = {
    ...{ name: spec.name, node, database, group, inputs, keepMs },
    windows: { sizeMs, latenessMs, idleMs },
    counting: new Set(of.map(({ name }) => name)),
    changed: (tx, state, cause) => spec.changed?.(tx, state as State, cause),
    closed: (tx, window) => spec.closed?.(tx, window),
  }
  return { ...made, letters: lettersOf(made) }
}

/** A letter is handled in the words of a consumer, so that `parley dlq` knows it as any other. */
function lettersOf(of: StreamParts): readonly Consumer[] {
  return [...of.inputs.values()].map(({ topic, policy, reactions }): Consumer => {
    const handlers = [...reactions].map(([type, { schema }]): [string, AnyHandler] => [
      type,
      { schema, effect: (message, tx, meta) => applyLetter(of, topic.name, message, tx, meta) },
    ])
    return { topic, policy, database: of.database, handlers: new Map(handlers) }
  })
}
