import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { context, SpanKind, trace } from '@opentelemetry/api'
import { replyExchange } from '#graph/names.ts'
import type { QueueNode } from '#graph/queue.ts'
import type { PublishedTopic, QueueOf, ServiceNode } from '#graph/service.ts'
import type { TopicNode } from '#graph/topic.ts'
import { correlationId } from '../context.ts'
import type { AnyTx } from '../store/database.ts'
import { attribute } from '../telemetry/semantics.ts'
import { injectTrace, tracer } from '../telemetry/telemetry.ts'
import { type Binding, dataVersion, decodeEnvelope, encodeEnvelope, newId } from './envelope.ts'
import { enqueue } from './outbox.ts'
import { answersHeader } from './question.ts'
import { workHeader } from './task-message.ts'

/** How one message differs from the default. */
export type PublishOptions = {
  /** Consumers recognise a repeat by it. Default: a new one. */
  readonly id?: string
}

/**
 * Publishes an event with a transaction's commit, and answers the event's id. Events of one transaction keep their order.
 * Throws when the key's field is empty or the event is larger than `payloadBytesMax`.
 */
export type Publish<T extends TopicNode> = <const M extends T['carries'][number]>(
  tx: AnyTx,
  schema: M,
  payload: MessageInitShape<M>,
  options?: PublishOptions,
) => string

/** How one task differs from the default. */
export type SendOptions = PublishOptions & {
  /**
   * What it is for, where the same may be asked for again under another id: of all tasks that die for it one dead letter is
   * kept, the newest. Default: only for itself.
   */
  readonly work?: string
}

/** Sends a task with a transaction's commit, and answers the task's id. */
export type Send<Q extends QueueNode> = <const M extends Q['carries'][number]>(
  tx: AnyTx,
  schema: M,
  payload: MessageInitShape<M>,
  options?: SendOptions,
) => string

/** The most that a payload may hold: what brokers take, less room for headers. */
export const payloadBytesMax = 800_000

/** How a service publishes to a topic of its own. */
export function publisher<const S extends ServiceNode, const T extends PublishedTopic<S> & TopicNode>(
  node: S,
  topic: T,
): Publish<T> {
  return (tx, schema, payload, { id = newId(tx.at) } = {}) => {
    const message = create(schema, payload)
    const key = keyOf(topic, schema, message) ?? id
    put(tx, { node, kind: 'topic', destination: topic.name, schema, message, id, key })
    return id
  }
}

/** How a service sends tasks to a queue that it declared to send to. */
export function sender<const S extends ServiceNode, const Q extends QueueOf<S, 'sends'>>(node: S, queue: Q): Send<Q> {
  return taskSender(node, queue)
}

/** As `sender`, where the queue comes from a declaration and not from the caller's types. */
export function taskSender<const Q extends QueueNode>(node: ServiceNode, queue: Q): Send<Q> {
  return (tx, schema, payload, { id = newId(tx.at), work } = {}) => {
    const message = create(schema, payload)
    const extra = work === undefined ? {} : { [workHeader]: work }
    put(tx, { node, kind: 'queue', destination: queue.name, schema, message, id, key: '', extra })
    return id
  }
}

/** The value of the topic's key field; null for a topic without one. */
function keyOf(topic: TopicNode, schema: DescMessage, message: MessageShape<DescMessage>): string | null {
  if (topic.key === null) return null
  const key: unknown = Reflect.get(message, topic.key)
  if (typeof key === 'string' && key !== '') return key
  throw new Error(`${schema.typeName} for topic ${topic.name} has no ${topic.key}: it is the key, so it must be set.`)
}

/** The question that an answer belongs to. */
export type Question = { readonly id: string; readonly replyTo: string }

/** Answers a question with a transaction's commit: once, however often the question was delivered. */
export function putAnswer<const R extends DescMessage>(
  tx: AnyTx,
  { node, queue, schema }: { readonly node: ServiceNode; readonly queue: QueueNode; readonly schema: R },
  { id, replyTo }: Question,
  payload: MessageInitShape<R>,
): void {
  put(tx, {
    ...{ node, kind: 'queue', destination: replyExchange(queue.name), schema, message: create(schema, payload) },
    ...{ id: `${id}.reply`, key: replyTo, extra: { [answersHeader]: id } },
  })
}

type Outgoing = {
  readonly node: ServiceNode
  readonly kind: 'topic' | 'queue'
  readonly destination: string
  readonly schema: DescMessage
  readonly message: MessageShape<DescMessage>
  readonly id: string
  readonly key: string
  readonly extra?: Readonly<Record<string, string>>
}

const bindings = { topic: 'kafka', queue: 'amqp' } as const satisfies Record<Outgoing['kind'], Binding>
const systems = { topic: 'kafka', queue: 'rabbitmq' } as const

function put(tx: AnyTx, { node, kind, destination, schema, message, id, key, extra = {} }: Outgoing): void {
  const payload = Buffer.from(toBinary(schema, message))
  if (payload.length > payloadBytesMax) {
    throw new Error(`${schema.typeName} has ${payload.length} bytes; ${payloadBytesMax} may go to ${destination}.`)
  }
  const envelope = encodeEnvelope(
    {
      id,
      type: schema.typeName,
      source: `/services/${node.name}`,
      time: tx.at,
      subject: key,
      correlationId: correlationId(),
      dataVersion: dataVersion(schema),
    },
    bindings[kind],
  )
  // Nothing leaves that a consumer would refuse, such as a key with a line break.
  const readable = decodeEnvelope(envelope, bindings[kind])
  if (!readable.ok) throw new Error(`${schema.typeName} cannot go to ${destination}: ${readable.reason}.`)
  // The trace goes on in the consumer from this span, which stands in the trace of whoever caused the event.
  const attributes = {
    [attribute.messagingSystem]: systems[kind],
    [attribute.messagingOperationName]: 'publish',
    [attribute.messagingOperationType]: 'send',
    [attribute.messagingDestination]: destination,
    [attribute.messagingMessageId]: id,
    [attribute.eventType]: schema.typeName,
  }
  const span = tracer().startSpan(`publish ${destination}`, { kind: SpanKind.PRODUCER, attributes })
  const headers = injectTrace({ ...envelope, ...extra }, trace.setSpan(context.active(), span))
  span.end()
  enqueue(tx, { kind, destination, id, key, headers, payload })
}
