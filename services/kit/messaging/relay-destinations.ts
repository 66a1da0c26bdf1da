import type { Publisher } from 'rabbitmq-client'
import { KafkaError, type Producer } from '../kafka/port.ts'
import { publishConfirmed } from './rabbitmq.ts'
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
  return {
    kind: 'queue',
    destination: queue,
    async send(rows) {
      const outcomes = await Promise.allSettled(
        rows.map(({ id, headers, payload }) =>
          publishConfirmed(publisher, { exchange: queue, routingKey: queue, messageId: id, headers }, payload),
        ),
      )
      const acknowledged = rows.filter((_, index) => outcomes[index]?.status === 'fulfilled').map(({ rowId }) => rowId)
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      return { acknowledged, refused: [], ...(failed && { failure: failed.reason }) }
    },
  }
}
