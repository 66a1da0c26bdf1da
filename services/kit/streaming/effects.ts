/** What leaves a stream with a batch: the events that follow from it, and the dead letters. */
import { runAsMessage } from '../context.ts'
import { buryRecord, reportBurial } from '../messaging/burial.ts'
import { processSpan } from '../messaging/handling.ts'
import { storedKey } from '../messaging/storable.ts'
import type { AnyTx } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'
import { inSpan } from '../telemetry/telemetry.ts'
import type { Poison, StreamEvent } from './batch.ts'
import type { Folded } from './fold.ts'
import { forgetLetters } from './seen.ts'
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
    const { headers } = record
    const message = {
      system: 'kafka',
      destination: topic,
      consumer: stream.group,
      headers,
      attributes: {},
      envelope,
    } as const
    const at = { id, type, key, topic, timeMs }
    const tell = async () => stream.changed(tx, state, { at, id: followingId(stream.name, id) })
    await inSpan(`process ${topic}`, processSpan(message), () =>
      runAsMessage(envelope.correlationId || undefined, tell),
    )
  }
}

/** Makes dead letters. Later events of the same key are not kept back, for what is added up does not depend on their order. */
export async function bury(
  tx: AnyTx,
  { stream, place: { topic, partition }, log }: { readonly stream: Stream; readonly place: Place; readonly log: Log },
  letters: readonly Poison[],
): Promise<void> {
  if (letters.length === 0 || stream.inputs.get(topic)?.policy.deadLetter === false) return
  const ids = letters.map(({ id }) => id)
  await forgetLetters(tx, stream, ids)
  for (const { record, id, reason } of letters) {
    const burial = { group: stream.group, topic, partition, record, id, key: storedKey(record.key), reason }
    await buryRecord(tx, burial)
    tx.afterCommit(() => reportBurial(log, burial))
  }
}
