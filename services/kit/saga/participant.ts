import { create } from '@bufbuild/protobuf'
import type { QueueNode } from '#graph/queue.ts'
import { type StepRef, type StepReply, StepReplySchema } from '#proto/parley/saga/v1/saga_pb.ts'
import { PermanentFailure } from '../messaging/dead-letter.ts'
import type { MessageMeta } from '../messaging/handlers.ts'
import type { Send } from '../messaging/publisher.ts'
import type { Tx } from '../store/database.ts'

/** What came of a command. */
export type Outcome = StepReply['outcome']

/** The step is done, now or before; `results` are told to later steps. */
export function done(results: Readonly<Record<string, string>> = {}): Outcome {
  return create(StepReplySchema, { outcome: { case: 'done', value: { results: { ...results } } } }).outcome
}

/** The step was not done, and will not be. */
export function refused(reason: string): Outcome {
  return create(StepReplySchema, { outcome: { case: 'refused', value: { reason } } }).outcome
}

/** The step is undone; from now on it cannot be done. */
export function undone(): Outcome {
  return create(StepReplySchema, { outcome: { case: 'undone', value: {} } }).outcome
}

/** A command of a saga. */
export type Command = { readonly step?: StepRef | undefined }

/**
 * Does a command and replies, in one transaction. The orchestrator may ask again under the same key, which comes as another
 * message: the handler then finds its effect in its own tables and says the same again. A compensation that comes first leaves
 * a tombstone there, and the step that comes after it is refused.
 */
export function replying<M extends Command, Tables>(
  reply: Send<QueueNode>,
  handle: (command: M, tx: Tx<Tables>, meta: MessageMeta) => Promise<Outcome>,
): (command: M, tx: Tx<Tables>, meta: MessageMeta) => Promise<void> {
  return async (command, tx, meta) => {
    const outcome = await handle(command, tx, meta)
    reply(tx, StepReplySchema, { step: stepOf(command), outcome })
  }
}

/** As `replying`, for work outside the database: `prepare` runs before the transaction and answers what to do in it. */
export function replyingPrepared<M extends Command, Tables>(
  reply: Send<QueueNode>,
  prepare: (command: M, meta: MessageMeta) => Promise<(tx: Tx<Tables>) => Promise<Outcome>>,
): { readonly prepare: (command: M, meta: MessageMeta) => Promise<(tx: Tx<Tables>) => Promise<void>> } {
  return {
    async prepare(command, meta) {
      const effect = await prepare(command, meta)
      return async (tx) => {
        const outcome = await effect(tx)
        reply(tx, StepReplySchema, { step: stepOf(command), outcome })
      }
    },
  }
}

/** A command that names no step can be answered by nobody. */
function stepOf({ step }: Command): StepRef {
  if (step && step.saga !== '' && step.sagaId !== '' && step.step !== '') return step
  throw new PermanentFailure('The command does not name its saga and step.')
}
