import { deadLetterTopic } from '#graph/names.ts'
import type { IncomingRecord } from '../kafka/port.ts'
import type { AnyTx } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'
import { metric } from '../telemetry/semantics.ts'
import { counter } from '../telemetry/telemetry.ts'
import { type DeadLetterReason, deadLetterHeaders, withinLimit } from './dead-letter.ts'
import { keepDeadLetter } from './dead-letters.ts'
import { enqueue } from './outbox.ts'
import { storedKey } from './storable.ts'

/** A record of a topic that a group gives up. */
export type Burial = {
  readonly group: string
  readonly topic: string
  readonly partition: number
  readonly record: IncomingRecord
  /** What the inbox knows it by. */
  readonly id: string
  /** Under which it is kept; empty where the topic has no key, or none that can be kept. */
  readonly key: string
  readonly reason: DeadLetterReason
}

/** Makes a dead letter of it: whole in the table from which it is replayed, and through the outbox in the topic of dead letters. */
export async function buryRecord(tx: AnyTx, burial: Burial): Promise<void> {
  const { group, topic, partition, record, id, key, reason } = burial
  const { headers, value: payload } = record
  const origin = originOf(burial)
  await keepDeadLetter(tx, {
    ...{ kind: 'topic', ...origin, key, place: `${partition}/${record.offset}` },
    ...{ headers, payload, reason },
  })
  const told = withinLimit(deadLetterHeaders(headers, origin, reason, tx.at), payload)
  const destination = deadLetterTopic(topic, group)
  enqueue(tx, { kind: 'topic', destination, id, key: storedKey(record.key), ...told })
}

/** Tells of it, once it is durable. */
export function reportBurial(log: Log, burial: Burial): void {
  const { topic, record, reason } = burial
  counter(metric.deadLetters).add(1, { destination: topic, code: reason.code })
  log.error('A message became a dead letter.', { ...originOf(burial), offset: String(record.offset), reason })
}

function originOf({ group, topic, partition, record, id }: Burial) {
  return { consumer: group, destination: topic, eventId: id, partition, offset: record.offset }
}
