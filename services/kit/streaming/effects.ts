/** What leaves a stream with a batch: the events that follow from it, and the dead letters. */
import { SpanKind } from '@opentelemetry/api'
import { deadLetterTopic } from '#graph/names.ts'
import { runAsMessage } from '../context.ts'
import { deadLetterHeaders, withinLimit } from '../messaging/dead-letter.ts'
import { keepDeadLetter } from '../messaging/dead-letters.ts'
import { enqueue } from '../messaging/outbox.ts'
import { storedKey } from '../messaging/storable.ts'
import type { AnyTx } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { counter, extractTrace, inSpan, linkTo } from '../telemetry/telemetry.ts'
import type { Poison, StreamEvent } from './batch.ts'
import type { Folded } from './fold.ts'
import type { Place } from './state.ts'
import type { Stream } from './stream.ts'

/** The id of the event that follows from another: the same whenever it is derived, so that its consumers know a repeat. */
export function followingId(stream: string, eventId: string): string {
  return `${eventId}.${stream}`
}

/** Publishes what follows from changes, each in the trace and under the correlation id of the event that caused it. */
export async function tellChanges(tx: AnyTx, stream: Stream, changes: Folded<StreamEvent>['changes']): Promise<void> {
  for (const { input, state } of changes) {
    const { id, type, key, topic, timeMs, envelope, record } = input
    const spec = {
      kind: SpanKind.CONSUMER,
      parent: extractTrace(record.headers),
      links: linkTo(record.headers),
      attributes: {
        [attribute.messagingSystem]: 'kafka',
        [attribute.messagingOperationName]: 'process',
        [attribute.messagingOperationType]: 'process',
        [attribute.messagingDestination]: topic,
        [attribute.messagingConsumerGroup]: stream.group,
        [attribute.messagingMessageId]: id,
        [attribute.eventType]: type,
        [attribute.correlationId]: envelope.correlationId,
      },
    }
    const at = { id, type, key, topic, timeMs }
    const tell = async () => stream.changed(tx, state, { at, id: followingId(stream.name, id) })
    await inSpan(`process ${topic}`, spec, () => runAsMessage(envelope.correlationId || undefined, tell))
  }
}

/**
 * Makes dead letters: whole in the table from which they are replayed, and through the outbox in the topic of dead letters.
 * Later events of the same key are not kept back, for what is added up does not depend on their order.
 */
export async function bury(
  tx: AnyTx,
  { stream, place, log }: { readonly stream: Stream; readonly place: Place; readonly log: Log },
  letters: readonly Poison[],
): Promise<void> {
  const { topic, partition } = place
  if (stream.inputs.get(topic)?.policy.deadLetter === false) return
  for (const { record, id, reason } of letters) {
    const { headers, value: payload, offset } = record
    const origin = { consumer: stream.group, destination: topic, eventId: id, partition, offset }
    const key = storedKey(record.key)
    const place = `${partition}/${offset}`
    await keepDeadLetter(tx, { kind: 'topic', ...origin, key, place, headers, payload, reason })
    const told = withinLimit(deadLetterHeaders(headers, origin, reason, tx.at), payload)
    enqueue(tx, { kind: 'topic', destination: deadLetterTopic(topic, stream.group), id, key, ...told })
    tx.afterCommit(() => {
      counter(metric.deadLetters).add(1, { destination: topic, code: reason.code })
      log.error('A message became a dead letter.', { ...origin, offset: String(offset), reason })
    })
  }
}
