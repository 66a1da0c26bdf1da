import { randomUUID } from 'node:crypto'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { SpanKind } from '@opentelemetry/api'
import { type AsyncMessage, type Connection, ConsumerStatus } from 'rabbitmq-client'
import { replyExchange, replyQueuePrefix } from '#graph/names.ts'
import type { AskEdge, QueueNode } from '#graph/queue.ts'
import type { QueueOf, ServiceNode } from '#graph/service.ts'
import type { Closable } from '../app/admin.ts'
import type { App } from '../app/lifecycle.ts'
import { correlationId } from '../context.ts'
import { abortable, callTimeoutMs, withDeadline } from '../deadline.ts'
import { ServiceError } from '../errors.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { counter, durations, injectTrace, inSpan } from '../telemetry/telemetry.ts'
import { dataVersion, decodeEnvelope, encodeEnvelope, newId } from './envelope.ts'
import { payloadBytesMax } from './publisher.ts'
import { answersHeader, errorOf, waitsHeader } from './question.ts'
import {
  closeConsumer,
  closePublisher,
  closeRabbitmq,
  confirmingPublisher,
  connectRabbitmq,
  giveUpWhereAway,
  publishConfirmed,
} from './rabbitmq.ts'
import { bodyOf, textHeaders } from './task-message.ts'

/** Asks over a queue. */
export type Asker<Q extends QueueNode> = Closable & {
  /**
   * Asks, and waits for the answer: as long as the edge declares, and never longer than whoever waits for this service.
   * @throws ServiceError `deadline-exceeded`; `overloaded` where as many questions are open as the edge allows; `unavailable`
   * where the broker cannot be had; and whatever the worker answered instead
   */
  ask<const M extends Q['carries'][number]>(
    schema: M,
    question: MessageInitShape<M>,
  ): Promise<MessageShape<Q['replies'] & DescMessage>>
  /** Whether answers can arrive. */
  ready(): boolean
}

type Asked = QueueNode<string, DescMessage, DescMessage>
type Waiting = { readonly resolve: (reply: AsyncMessage) => void; readonly reject: (error: ServiceError) => void }

const inFlightDefault = 100
/** So many questions that are over are remembered, to tell a late answer from a foreign one. */
const rememberedMax = 1_000

/**
 * Opens the way to ask over a queue that the service declared to ask. Each replica has a reply queue of its own, which lives as
 * long as its connection and is declared again with a new one. Answers are matched by the question's id; one that
 * comes late, twice or unasked is dropped and counted. Waits for no broker: the first questions do, and where it is lost later
 * asking fails with `unavailable` at once.
 */
export function openAsker<const S extends ServiceNode, const Q extends QueueOf<S, 'asks'> & Asked>(
  app: Pick<App<S>, 'node' | 'configuration' | 'log'>,
  queue: Q,
): Asker<Q> {
  const { node, log, configuration } = app
  const { deadlineMs, inFlightMax = inFlightDefault } = askEdge(node, queue).policy
  if (!configuration.rabbitmq) throw new Error(`${node.name} asks ${queue.name}, but RabbitMQ is not configured.`)
  const connection = connectRabbitmq(configuration.rabbitmq, `${node.name} asks ${queue.name}`, log)
  const publisher = confirmingPublisher(connection)
  const replyTo = `${replyQueuePrefix(node.name)}${randomUUID()}`
  const waiting = new Map<string, Waiting>()
  const over = rememberer(rememberedMax)
  const replies = consumeReplies(connection, { replyTo, queue, deadlineMs, inFlightMax }, (reply) => {
    const id = reply.correlationId ?? ''
    const asker = waiting.get(id)
    if (asker) asker.resolve(reply)
    else counter(metric.repliesDropped).add(1, { destination: replyExchange(queue.name), reason: over.why(id) })
  })
  replies.on('error', (error) => log.warn('Answers do not arrive for now.', { queue: queue.name, error }))

  const publish = ({ id, headers, payload }: ReturnType<typeof questionOf>) => {
    const target = { exchange: queue.name, routingKey: queue.name, messageId: id, correlationId: id, replyTo }
    return publishConfirmed(publisher, { ...target, headers }, payload)
  }
  const ask = async (schema: DescMessage, message: MessageShape<DescMessage>): Promise<MessageShape<DescMessage>> => {
    if (waiting.size >= inFlightMax) {
      throw new ServiceError('overloaded', `${inFlightMax} questions to ${queue.name} are open; ask again later.`)
    }
    const waitMs = callTimeoutMs(deadlineMs)
    const question = questionOf(node, schema, message, waitMs)
    const { promise, resolve, reject } = Promise.withResolvers<AsyncMessage>()
    waiting.set(question.id, { resolve, reject })
    let end: 'late' | 'repeat' = 'late'
    try {
      const reply = await withDeadline(waitMs, async (signal) => {
        await abortable(signal, replies.opened())
        // The answer may come before the confirmation, and then that does not matter.
        publish(question).catch((thrown: unknown) => reject(notAsked(queue, thrown)))
        return abortable(signal, promise)
      })
      end = 'repeat'
      return readReply(queue, reply)
    } finally {
      waiting.delete(question.id)
      over.add(question.id, end)
    }
  }
  return {
    ready: replies.ready,
    ask: (schema, question) => observed(queue, () => ask(schema, create(schema, question))) as never,
    async close() {
      giveUpWhereAway(connection)
      await replies
        .close()
        .finally(() => closePublisher(publisher, log))
        .finally(() => closeRabbitmq(connection))
    },
  }
}

function askEdge(node: ServiceNode, queue: QueueNode): AskEdge {
  const edges = (node.spec.edges ?? []).filter((edge) => edge.kind === 'asks')
  const edge = edges.find((candidate) => candidate.queue.name === queue.name)
  if (!edge) throw new Error(`${node.name} does not declare that it asks ${queue.name}: add asks() to its edges.`)
  return edge
}

type ReplyQueue = { replyTo: string; queue: QueueNode; deadlineMs: number; inFlightMax: number }

/** The reply queue holds what can be awaited, for as long as it can be. */
function consumeReplies(
  connection: Connection,
  { replyTo, queue, deadlineMs, inFlightMax }: ReplyQueue,
  take: (reply: AsyncMessage) => void,
) {
  const bounds = { 'x-message-ttl': deadlineMs, 'x-max-length': 2 * inFlightMax, 'x-overflow': 'drop-head' } as const
  const consumer = connection.createConsumer(
    {
      queue: replyTo,
      queueOptions: { exclusive: true, durable: false, arguments: { 'x-queue-type': 'classic', ...bounds } },
      queueBindings: [{ exchange: replyExchange(queue.name), queue: replyTo, routingKey: replyTo }],
      noAck: true,
    },
    (reply) => {
      take(reply)
      return ConsumerStatus.ACK
    },
  )
  let ready = false
  const first = Promise.withResolvers<void>()
  consumer.on('ready', () => {
    ready = true
    first.resolve()
  })
  consumer.on('error', () => {
    ready = false
  })
  return {
    ready: () => ready && connection.ready,
    /** Waits for the start alone: a broker that is lost later may be away for long, and that is said at once. */
    async opened() {
      await first.promise
      if (!ready || !connection.ready) throw notAsked(queue, 'the broker is away')
    },
    on: (event: 'error', listener: (error: unknown) => void) => consumer.on(event, listener),
    close: () => closeConsumer(consumer),
  }
}

function questionOf(node: ServiceNode, schema: DescMessage, message: MessageShape<DescMessage>, waitMs: number) {
  const payload = Buffer.from(toBinary(schema, message))
  if (payload.length > payloadBytesMax) {
    throw new ServiceError(
      'invalid-argument',
      `${schema.typeName} has ${payload.length} bytes; ${payloadBytesMax} may be asked.`,
    )
  }
  const time = new Date()
  const id = newId(time)
  const source = `/services/${node.name}`
  const about = { id, type: schema.typeName, source, time, subject: '', correlationId: correlationId() }
  const envelope = encodeEnvelope({ ...about, dataVersion: dataVersion(schema) }, 'amqp')
  return { id, payload, headers: injectTrace({ ...envelope, [waitsHeader]: String(Math.ceil(waitMs)) }) }
}

/** Why is in the cause alone: it may name what is inside, and the message may be shown outside. */
function notAsked(queue: QueueNode, cause: unknown): ServiceError {
  return new ServiceError('unavailable', `${queue.name} cannot be asked now.`, { cause })
}

/** The answer; throws what the worker answered instead of one. */
function readReply(queue: Asked, reply: AsyncMessage): MessageShape<DescMessage> {
  const headers = textHeaders(reply)
  const error = errorOf(headers)
  if (error) throw error
  const envelope = decodeEnvelope(headers, 'amqp')
  const right = envelope.ok && envelope.value.type === queue.replies.typeName && headers[answersHeader] !== undefined
  if (!right) {
    const reason = envelope.ok ? `it is a ${envelope.value.type}` : envelope.reason
    throw new ServiceError('internal', `The answer of ${queue.name} is no ${queue.replies.typeName}: ${reason}`)
  }
  try {
    return fromBinary(queue.replies, bodyOf(reply))
  } catch (cause) {
    throw new ServiceError('internal', `The answer of ${queue.name} cannot be read.`, { cause })
  }
}

async function observed<T>(queue: QueueNode, run: () => Promise<T>): Promise<T> {
  const beganMs = performance.now()
  let outcome = 'answered'
  const attributes = {
    [attribute.messagingSystem]: 'rabbitmq',
    [attribute.messagingOperationName]: 'ask',
    [attribute.messagingOperationType]: 'send',
    [attribute.messagingDestination]: queue.name,
  }
  try {
    return await inSpan(`ask ${queue.name}`, { kind: SpanKind.CLIENT, attributes }, run)
  } catch (thrown) {
    outcome = ServiceError.from(thrown).code
    throw thrown
  } finally {
    durations(metric.askDuration).record((performance.now() - beganMs) / 1_000, { destination: queue.name, outcome })
  }
}

/** Remembers the newest ids. */
function rememberer(max: number) {
  const ids = new Map<string, 'late' | 'repeat'>()
  return {
    add(id: string, why: 'late' | 'repeat') {
      ids.set(id, why)
      const [oldest] = ids.keys()
      if (ids.size > max && oldest !== undefined) ids.delete(oldest)
    },
    why: (id: string) => ids.get(id) ?? 'unknown',
  }
}
