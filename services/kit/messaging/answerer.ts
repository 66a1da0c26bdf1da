import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf'
import { resolveRedelivery } from '#graph/defaults.ts'
import type { QueueNode } from '#graph/queue.ts'
import type { QueueOf, ServiceNode } from '#graph/service.ts'
import type { Database, Tx } from '../store/database.ts'
import { handlersByType, type MessageMeta, type MessageNamed, type NameOf } from './handlers.ts'
import { putAnswer } from './publisher.ts'
import { type Worker, workEdges } from './worker.ts'

/** A queue whose tasks are questions. */
type Asked = QueueNode<string, DescMessage, DescMessage>

/**
 * How a kind of question is answered.
 * - A function: the answer, from within the transaction that remembers the question.
 * - `prepare`: for an answer that needs no transaction, such as one that is computed or asked of others.
 */
export type Answer<M, R extends DescMessage, Tables> =
  | ((question: M, tx: Tx<Tables>, meta: MessageMeta) => Promise<MessageInitShape<R>>)
  | { readonly prepare: (question: M, meta: MessageMeta) => Promise<MessageInitShape<R>> }

/** One for every kind of question, by the message's name. */
export type Answers<D extends DescMessage, R extends DescMessage, Tables> = {
  readonly [N in NameOf<D>]: Answer<MessageNamed<D, N>, R, Tables>
}

/**
 * Says how a service answers the questions of a queue with replies that it declared to work. A question is answered once, though its
 * delivery repeats: the answer leaves by the outbox, with the commit that remembers the question. What the handler throws is
 * answered too, as the asker's error: at once where it is the question's own fault, otherwise when the attempts or the asker's
 * patience are used up. A question whose asker waits no longer is dropped and counted.
 */
export function answerer<const S extends ServiceNode, const Q extends QueueOf<S, 'works'> & Asked, Tables>(
  node: S,
  queue: Q,
  database: Database<Tables>,
  answers: Answers<Q['carries'][number] & DescMessage, Q['replies'] & DescMessage, Tables>,
): Worker {
  const edge = workEdges(node).find((candidate) => candidate.queue.name === queue.name)
  const wrapped = Object.entries(answers).map(([name, answer]) => [name, answering(node, queue, answer as AnyAnswer)])
  return {
    queue,
    database,
    redelivery: resolveRedelivery(queue.redelivery),
    prefetch: edge?.policy.prefetch ?? 10,
    handlers: handlersByType(queue.carries, Object.fromEntries(wrapped)),
  }
}

type AnyAnswer = Answer<unknown, DescMessage, unknown>

/** The handler of a task: its effect is the answer. */
function answering(node: ServiceNode, queue: Asked, answer: AnyAnswer): unknown {
  const put = (tx: Tx<unknown>, meta: MessageMeta, payload: MessageInitShape<DescMessage>) => {
    // Whoever asks without saying where to wants no answer.
    if (meta.replyTo !== '') putAnswer(tx, { node, queue, schema: queue.replies }, meta, payload)
  }
  if (typeof answer === 'function') {
    return async (question: unknown, tx: Tx<unknown>, meta: MessageMeta) =>
      put(tx, meta, await answer(question, tx, meta))
  }
  return {
    prepare: async (question: unknown, meta: MessageMeta) => {
      const payload = await answer.prepare(question, meta)
      return async (tx: Tx<unknown>) => put(tx, meta, payload)
    },
  }
}
