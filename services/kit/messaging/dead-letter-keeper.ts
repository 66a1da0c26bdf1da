import { type AsyncMessage, type Connection, ConsumerStatus } from 'rabbitmq-client'
import { deadLetterQueue } from '#graph/names.ts'
import { pause } from '../app/pause.ts'
import { StoreUnavailable } from '../store/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { type DeadLetterReason, readDeadLetterHeaders } from './dead-letter.ts'
import { keepDeadLetter } from './dead-letters.ts'
import { closeConsumer } from './rabbitmq.ts'
import { bodyOf, taskId, textHeaders } from './task-message.ts'
import type { Worker } from './worker.ts'

/** What takes the dead letters of a queue to where they are kept. */
export type DeadLetterKeeper = { close(): Promise<void> }

const retryMs = 1_000
const inHandMax = 10

/**
 * Moves what comes into a queue of dead letters into the worker's database, where it can be looked at for as long as one likes,
 * and replayed once however often somebody asks. A letter leaves the queue when its row is committed; there it would count as
 * delivered with every look, and age out. It comes from the worker, with a reason, or from the broker, which gave a task up.
 */
export function startKeeper(worker: Worker, connection: Connection, log: Log): DeadLetterKeeper {
  const queue = deadLetterQueue(worker.queue.name)
  const closing = new AbortController()
  const consumer = connection.createConsumer(
    { queue, queueOptions: { passive: true }, qos: { prefetchCount: inHandMax }, concurrency: inHandMax },
    (task) => keep(worker, task, log, closing.signal),
  )
  consumer.on('error', (error) => log.warn('Dead letters wait in their queue; it goes on by itself.', { queue, error }))
  return {
    async close() {
      closing.abort()
      await closeConsumer(consumer)
    },
  }
}

async function keep(worker: Worker, task: AsyncMessage, log: Log, signal: AbortSignal): Promise<ConsumerStatus> {
  const queue = worker.queue.name
  const { headers, reason } = readDeadLetterHeaders(textHeaders(task))
  const payload = bodyOf(task)
  const eventId = taskId(task, headers)
  const from = { kind: 'queue', consumer: `queue ${queue}`, destination: queue, key: '', place: '' } as const
  const letter = { ...from, eventId, headers, payload, reason: reason ?? brokersReason(task) }
  while (!signal.aborted) {
    try {
      await worker.database.transaction((tx) => keepDeadLetter(tx, letter))
      if (!reason)
        log.error('The broker gave a task up; it became a dead letter.', { queue, eventId, ...letter.reason })
      return ConsumerStatus.ACK
    } catch (error) {
      const message = 'A dead letter cannot be kept yet; it stays in its queue.'
      if (error instanceof StoreUnavailable) log.warn(message, { queue, eventId })
      else log.error(message, { queue, eventId, error })
      await pause(retryMs, signal)
    }
  }
  return ConsumerStatus.REQUEUE
}

/** The broker notes in `x-death` why, and how often, a message died. */
function brokersReason({ headers }: AsyncMessage): DeadLetterReason {
  const deaths: unknown = headers?.['x-death']
  const [death] = Array.isArray(deaths) ? deaths : []
  const why = typeof death?.reason === 'string' ? death.reason : 'unknown'
  const message = `The broker gave it up (${why}): its worker ended again and again while it had it.`
  const count: unknown = headers?.['x-delivery-count']
  const attempts = typeof count === 'number' || typeof count === 'bigint' ? Number(count) + 1 : 0
  return { code: 'ATTEMPTS_USED_UP', message, exception: '', attempts }
}
