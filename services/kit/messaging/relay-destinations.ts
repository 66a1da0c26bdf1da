import type { Publisher } from 'rabbitmq-client'
import { KafkaError, type Producer } from '../kafka/port.ts'
import { metric } from '../telemetry/semantics.ts'
import { counter } from '../telemetry/telemetry.ts'
import { answersHeader } from './question.ts'
import { publishConfirmed, type TaskEnvelope, Unroutable } from './rabbitmq.ts'
import type { Destination, Sent, WaitingRow } from './relay.ts'

/** A Kafka topic: a round is one idempotent send, acknowledged by all replicas in sync. */
export function topicDestination(topic: string, producer: Producer): Destination {
  const record = ({ key, headers, payload }: WaitingRow) => ({ topic, key, headers, value: payload })
  const sendEach = async (rows: readonly WaitingRow[]): Promise<Sent> => {
    const acknowledged: bigint[] = []
    const refused: { rowId: bigint; reason: string }[] = []
    for (const row of rows) {
      try {
        await producer.send([record(row)])
        acknowledged.push(row.rowId)
      } catch (thrown) {
        if (!tooLarge(thrown)) return { acknowledged, refused, failure: thrown }
        refused.push({ rowId: row.rowId, reason: thrown.message })
      }
    }
    return { acknowledged, refused }
  }
  return {
    kind: 'topic',
    destination: topic,
    async send(rows) {
      try {
        await producer.send(rows.map(record))
        return { acknowledged: rows.map(({ rowId }) => rowId), refused: [] }
      } catch (thrown) {
        // One record that the topic will never take must not hold up the others for ever: find it.
        if (tooLarge(thrown)) return sendEach(rows)
        throw thrown
      }
    },
  }
}

function tooLarge(thrown: unknown): thrown is KafkaError {
  return thrown instanceof KafkaError && thrown.code === 'RECORD_TOO_LARGE'
}

/** A RabbitMQ queue: each task is confirmed on its own, and what was not confirmed is sent again. */
export function queueDestination(queue: string, publisher: Publisher): Destination {
  const target = ({ id, headers }: WaitingRow) => ({ exchange: queue, routingKey: queue, messageId: id, headers })
  return confirmedEach(queue, (row) => publishConfirmed(publisher, target(row), row.payload))
}

/** The exchange of a queue's answers; the key of a row is the reply queue of whoever asked. */
export function replyDestination(exchange: string, publisher: Publisher): Destination {
  return confirmedEach(exchange, async ({ id, key, headers, payload }) => {
    const correlationId = headers[answersHeader] ?? ''
    await publishReply(publisher, { exchange, routingKey: key, messageId: id, correlationId, headers }, payload)
  })
}

/** Sends an answer. Where its asker has gone it is dropped and counted: nobody will ever fetch it. */
export async function publishReply(publisher: Publisher, reply: TaskEnvelope, body: Buffer): Promise<void> {
  try {
    await publishConfirmed(publisher, reply, body)
  } catch (thrown) {
    if (!(thrown instanceof Unroutable)) throw thrown
    counter(metric.repliesDropped).add(1, { destination: reply.exchange, reason: 'asker-gone' })
  }
}

function confirmedEach(destination: string, publish: (row: WaitingRow) => Promise<void>): Destination {
  return {
    kind: 'queue',
    destination,
    async send(rows) {
      const outcomes = await Promise.allSettled(rows.map(publish))
      const acknowledged = rows.filter((_, index) => outcomes[index]?.status === 'fulfilled').map(({ rowId }) => rowId)
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      return { acknowledged, refused: [], ...(failed && { failure: failed.reason }) }
    },
  }
}
