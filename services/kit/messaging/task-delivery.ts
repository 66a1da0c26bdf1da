import { type AsyncMessage, type Connection, ConsumerStatus, type Publisher } from 'rabbitmq-client'
import { deadLetterQueue, replyExchange, retryQueue } from '#graph/names.ts'
import { pause } from '../app/pause.ts'
import { ServiceError } from '../errors.ts'
import { StoreUnavailable } from '../store/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { counter } from '../telemetry/telemetry.ts'
import { type DeadLetterReason, deadLetterHeaders, isPermanent, reasonOf } from './dead-letter.ts'
import { decodeEnvelope } from './envelope.ts'
import { readMessage } from './handlers.ts'
import { type Delivery, handleOnce } from './handling.ts'
import { answersHeader, errorHeaders, replyToHeader, waitsMs } from './question.ts'
import { closeConsumer, closePublisher, confirmingPublisher, publishConfirmed } from './rabbitmq.ts'
import { publishReply } from './relay-destinations.ts'
import { bodyOf, taskId, textHeaders } from './task-message.ts'
import type { Worker } from './worker.ts'

/** A worker at work. */
export type RunningWorker = {
  /** Whether tasks can arrive. */
  readonly ready: () => boolean
  /** Takes no new task, waits for those in hand; what was prefetched goes back to the queue. */
  close(): Promise<void>
}

/** Counts the attempts of a task over its stays in the retry queues. */
const attemptsHeader = 'parley-attempts'
const storeWaitMs = 500

/** Takes tasks from the queue, as many at once as the edge allows, and settles each. */
export function startWorker(worker: Worker, connection: Connection, log: Log): RunningWorker {
  const { queue, prefetch } = worker
  const publisher = confirmingPublisher(connection)
  const closing = new AbortController()
  let ready = false
  const consumer = connection.createConsumer(
    {
      queue: queue.name,
      queueOptions: { passive: true },
      qos: { prefetchCount: prefetch },
      concurrency: prefetch,
    },
    async (task) => {
      const status = await settle({ worker, publisher, log, signal: closing.signal }, task)
      return status
    },
  )
  consumer.on('ready', () => {
    ready = true
  })
  consumer.on('error', (error) => {
    ready = false
    log.warn('The worker of a queue was interrupted; it goes on by itself.', { queue: queue.name, error })
  })
  return {
    ready: () => ready && connection.ready,
    async close() {
      closing.abort()
      await closeConsumer(consumer).finally(() => closePublisher(publisher, log))
    },
  }
}

type Work = { readonly worker: Worker; readonly publisher: Publisher; readonly log: Log; readonly signal: AbortSignal }

/** Brings one delivery to its end: done, waiting for its next attempt, or a dead letter. */
async function settle(work: Work, task: AsyncMessage): Promise<ConsumerStatus> {
  const { queue, redelivery, handlers } = work.worker
  const headers = textHeaders(task)
  const envelope = decodeEnvelope(headers, 'amqp')
  const readable = readMessage(envelope, Buffer.isBuffer(task.body) ? task.body : Buffer.alloc(0), handlers)
  if (!readable.ok || !readable.value) {
    const unknown = `${envelope.ok ? envelope.value.type : ''} is no task of this queue`
    const code = readable.ok ? 'ENVELOPE_ATTRIBUTE_MALFORMED' : readable.code
    return bury(work, task, { code, message: readable.ok ? unknown : readable.reason, exception: '', attempts: 0 })
  }
  const attempt = retriesBefore(headers) + deliveriesBefore(task) + 1
  if (attempt > redelivery.attempts) {
    const ended = new Error('The process ended while it handled this task.')
    return bury(work, task, reasonOf(ended, attempt - 1), ended)
  }
  const delivery: Delivery = {
    ...readable.value,
    system: 'rabbitmq',
    consumer: `queue ${queue.name}`,
    destination: queue.name,
    key: '',
    headers,
    attributes: { [attribute.messagingRabbitmqRoutingKey]: task.routingKey },
  }
  return attemptTask(work, task, delivery, attempt)
}

async function attemptTask(
  work: Work,
  task: AsyncMessage,
  delivery: Delivery,
  attempt: number,
): Promise<ConsumerStatus> {
  const { worker, signal, log } = work
  const { headers, envelope } = delivery
  for (;;) {
    const waits = worker.queue.replies ? waitsMs(headers, envelope.time, Date.now()) : undefined
    if (waits === 0) return expired(work, envelope.id)
    try {
      // Tasks in hand are finished when the process stops; the lifecycle bounds how long that may take.
      const patient = waits === undefined ? delivery : { ...delivery, waitsMs: waits }
      await handleOnce(worker.database, patient, attempt, never)
      return ConsumerStatus.ACK
    } catch (thrown) {
      if (!(thrown instanceof StoreUnavailable)) return failed(work, task, delivery, attempt, thrown)
      // The task is kept in hand, for giving it back would count as one of its deliveries.
      log.warn('A task waits for the database.', { queue: worker.queue.name, id: delivery.envelope.id })
      await pause(storeWaitMs, signal)
      if (signal.aborted) return ConsumerStatus.REQUEUE
    }
  }
}

const never = new AbortController().signal

async function failed(
  work: Work,
  task: AsyncMessage,
  { envelope, headers }: Delivery,
  attempt: number,
  thrown: unknown,
): Promise<ConsumerStatus> {
  const { worker, publisher, log } = work
  const queue = worker.queue.name
  if (worker.queue.replies && isAnswer(thrown)) return answerError(work, task, thrown)
  if (isPermanent(thrown) || attempt >= worker.redelivery.attempts)
    return bury(work, task, reasonOf(thrown, attempt), thrown)
  const retry = retryQueue(queue, worker.redelivery, attempt)
  // Tasks that failed together come back apart. One may wait for the longer draw of another before it, up to the queue's own wait.
  const expirationMs = retry.waitMs * (0.5 + Math.random() / 2)
  const waits = worker.queue.replies ? waitsMs(headers, envelope.time, Date.now()) : undefined
  if (waits === 0) return expired(work, envelope.id)
  if (waits !== undefined && waits <= expirationMs) return answerError(work, task, thrown)
  log.warn('A task failed and will be tried again.', { queue, id: envelope.id, attempt, error: thrown })
  const target = { exchange: retry.name, routingKey: queue, messageId: envelope.id, expirationMs }
  return handOver(work, publisher, { ...target, headers: { ...headers, [attemptsHeader]: String(attempt) } }, task)
}

/** Nobody waits for the answer any more. */
function expired({ worker, log }: Work, id: string): ConsumerStatus {
  log.debug('A question came too late.', { queue: worker.queue.name, id })
  counter(metric.questionsExpired).add(1, { destination: worker.queue.name })
  return ConsumerStatus.ACK
}

/** A refusal in the words of the domain is an answer like any other; no further attempt would give another. */
function isAnswer(thrown: unknown): boolean {
  return thrown instanceof ServiceError && !thrown.transient && thrown.code !== 'internal'
}

/** Tells whoever asked that there will be no answer, and why. Should it be lost, the asker's own deadline tells. */
async function answerError(
  { worker, publisher, log }: Work,
  task: AsyncMessage,
  thrown: unknown,
): Promise<ConsumerStatus> {
  const { [replyToHeader]: replyTo = '' } = textHeaders(task)
  const id = task.messageId ?? ''
  if (replyTo === '' || id === '') return ConsumerStatus.ACK
  const exchange = replyExchange(worker.queue.name)
  const headers = { [answersHeader]: id, ...errorHeaders(thrown) }
  const reply = { exchange, routingKey: replyTo, messageId: `${id}.error`, correlationId: id, headers }
  try {
    await publishReply(publisher, reply, Buffer.alloc(0))
  } catch (error) {
    log.warn('An asker could not be told that there is no answer.', { queue: worker.queue.name, id, error })
  }
  return ConsumerStatus.ACK
}

async function bury(
  work: Work,
  task: AsyncMessage,
  reason: DeadLetterReason,
  thrown: unknown = new ServiceError('unimplemented', reason.message),
): Promise<ConsumerStatus> {
  const { worker, publisher, log } = work
  const { queue } = worker
  const original = textHeaders(task)
  const eventId = taskId(task, original)
  const origin = { consumer: queue.name, destination: queue.name, eventId }
  if (queue.deadLetter) {
    const headers = deadLetterHeaders(original, origin, reason, new Date())
    const target = { exchange: deadLetterQueue(queue.name), routingKey: queue.name, messageId: eventId, headers }
    if ((await handOver(work, publisher, target, task)) === ConsumerStatus.REQUEUE) return ConsumerStatus.REQUEUE
  }
  if (queue.replies) await answerError(work, task, thrown)
  counter(metric.deadLetters).add(1, { destination: queue.name, code: reason.code })
  log.error('A task became a dead letter.', { ...origin, reason })
  return ConsumerStatus.ACK
}

/** Acknowledges a task only once the broker has confirmed that it lies elsewhere; otherwise it goes back. */
async function handOver(
  { log }: Work,
  publisher: Publisher,
  target: Parameters<typeof publishConfirmed>[1],
  task: AsyncMessage,
): Promise<ConsumerStatus> {
  try {
    await publishConfirmed(publisher, target, bodyOf(task))
    return ConsumerStatus.ACK
  } catch (error) {
    log.error('A task could not be moved on; it goes back to its queue.', { exchange: target.exchange, error })
    return ConsumerStatus.REQUEUE
  }
}

/** How often it went to a retry queue. The header is the sender's at first, who may write what they like: none has more attempts. */
function retriesBefore({ [attemptsHeader]: told = '' }: Readonly<Record<string, string>>): number {
  return /^\d{1,9}$/.test(told) ? Number(told) : 0
}

/** How often the broker has delivered it before; a quorum queue counts. */
function deliveriesBefore({ headers }: AsyncMessage): number {
  const count: unknown = headers?.['x-delivery-count']
  return typeof count === 'number' || typeof count === 'bigint' ? Number(count) : 0
}
