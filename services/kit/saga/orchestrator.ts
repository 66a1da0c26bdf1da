import { isDeepStrictEqual } from 'node:util'
import { type DescMessage, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { resolveRedelivery } from '#graph/defaults.ts'
import type { CommandStep, OrchestrationNode } from '#graph/saga.ts'
import type { ServiceNode } from '#graph/service.ts'
import { type StepReply, StepReplySchema } from '#proto/parley/saga/v1/saga_pb.ts'
import type { App } from '../app/lifecycle.ts'
import { PermanentFailure } from '../messaging/dead-letter.ts'
import { handlersByType } from '../messaging/handlers.ts'
import type { Transactions } from '../messaging/handling.ts'
import { type Send, taskSender } from '../messaging/publisher.ts'
import { storableText } from '../messaging/storable.ts'
import { type Worker, workEdges } from '../messaging/worker.ts'
import type { AnyTx } from '../store/database.ts'
import type { Log } from '../telemetry/log.ts'
import { metric } from '../telemetry/semantics.ts'
import { counter, durations } from '../telemetry/telemetry.ts'
import { decide, type SagaCommand, type SagaNews } from './decide.ts'
import { courseOf, hasEnded, mayTurnBack, type SagaCourse, type SagaState } from './state.ts'
import { insert, type LockedSaga, lock, lockDue, update } from './store.ts'

/** What a command is made of. */
export type About<I> = {
  readonly sagaId: string
  /** What started the saga. */
  readonly input: I
  /** What steps that are done have told, by step. */
  readonly results: SagaState['results']
  /** Why it turned back; empty where it has not. */
  readonly reason: string
}

/** For every step of the declaration, what its commands say. `step`, which names what they are about, is set by the orchestrator. */
export type CommandsOf<S extends readonly CommandStep[], I> = {
  readonly [K in S[number] as K['name']]: Said<K['sends'], 'act', I> & Said<K['compensation'], 'undo', I>
}
type Said<D, N extends string, I> = [D] extends [DescMessage]
  ? { readonly [K in N]: (about: About<I>) => MessageInitShape<D> }
  : unknown

/** What came of an operator's wish. */
export type Asked = 'done' | 'unknown' | 'ended' | 'past the point of no return'

/** The leader of the sagas of one declaration. */
export type Orchestrator<I> = {
  readonly course: SagaCourse
  readonly database: Transactions
  /** Takes the participants' replies; give it to `startMessaging`. */
  readonly replies: Worker
  /** Begins a saga, within a transaction; the same id begins it once. */
  start(tx: AnyTx, sagaId: string, input: I): Promise<void>
  /** Turns a saga back, where it still can be. */
  cancel(sagaId: string, reason: string): Promise<Asked>
  /** Asks again at once for everything that waits for a reply. */
  retry(sagaId: string): Promise<Asked>
  /** Looks at a saga whose time has come. False where it was not due, or another replica is at it. */
  wake(sagaId: string): Promise<boolean>
}

/**
 * Leads the sagas of a declaration: its steps, their order, compensations and times come from the node, only what the commands
 * say comes from here. Each decision is one transaction with its log and its commands, so a crash at any point repeats nothing
 * and forgets nothing; each command goes out with a message id of its own and always under the same key, the `StepRef`. However
 * often one dies, its participant keeps a single dead letter of it.
 */
export function orchestrator<const S extends readonly CommandStep[], const D extends DescMessage>(
  app: Pick<App, 'node' | 'log'>,
  saga: OrchestrationNode<S>,
  database: Transactions,
  input: D,
  commands: CommandsOf<NoInfer<S>, MessageShape<NoInfer<D>>>,
): Orchestrator<MessageShape<D>> {
  const course = courseOf(saga)
  const outgoing = outgoingOf(app.node, saga, commands as Readonly<Record<string, Partial<Record<string, Say>>>>)
  const step = (tx: AnyTx, sagaId: string, found: LockedSaga, news: SagaNews) =>
    take(tx, { course, outgoing, input, log: app.log }, sagaId, found, news)
  const ask = (sagaId: string, news: SagaNews, refuse: (state: SagaState) => Asked | undefined) =>
    database.transaction(async (tx): Promise<Asked> => {
      const found = await lock(tx, course, sagaId)
      if (!found) return 'unknown'
      const refused = hasEnded(found.state) ? 'ended' : refuse(found.state)
      if (refused) return refused
      await step(tx, sagaId, found, news)
      return 'done'
    })
  return {
    course,
    database,
    replies: repliesOf(app.node, saga, database, async (tx, sagaId, news) => {
      const found = await lock(tx, course, sagaId)
      if (!found) throw new PermanentFailure(`There is no saga ${saga.name} ${sagaId.slice(0, 64)}`)
      await step(tx, sagaId, found, news)
    }),
    async start(tx, sagaId, started) {
      const found = await insert(tx, course, sagaId, Buffer.from(toBinary(input, started)))
      if (found) await step(tx, sagaId, found, { kind: 'started' })
    },
    cancel: (sagaId, reason) =>
      ask(sagaId, { kind: 'cancelled', reason: wordsOf(reason) }, (state) =>
        state.status === 'running' && !mayTurnBack(course, state) ? 'past the point of no return' : undefined,
      ),
    retry: (sagaId) => ask(sagaId, { kind: 'retried' }, () => undefined),
    wake: (sagaId) =>
      database.transaction(async (tx) => {
        const found = await lockDue(tx, course, sagaId)
        if (found) await step(tx, sagaId, found, { kind: 'due' })
        return found !== null
      }),
  }
}

type Say = (about: About<never>) => MessageInitShape<DescMessage>
type Outgoing = (tx: AnyTx, command: SagaCommand, about: About<unknown>) => void
type Leading = {
  readonly course: SagaCourse
  readonly outgoing: Outgoing
  readonly input: DescMessage
  readonly log: Log
}

/** One decision: what happened, what follows, and the commands, in the caller's transaction. */
async function take(
  tx: AnyTx,
  { course, outgoing, input, log }: Leading,
  sagaId: string,
  found: LockedSaga,
  news: SagaNews,
): Promise<void> {
  const before = found.state
  const event = { ...news, atMs: found.atMs }
  const { state, commands } = decide(course, before, event)
  const onlyTime = event.kind === 'due' && state.stuck === before.stuck && state.status === before.status
  const repeats = onlyTime || isDeepStrictEqual(state, before)
  await update(tx, course, { sagaId, event, state, commands, repeats })
  const { results, reason } = state
  const about: About<unknown> = { sagaId, input: fromBinary(input, found.input), results, reason }
  for (const command of commands) outgoing(tx, command, about)
  tx.afterCommit(() => tell(log, course.name, sagaId, before, state, found.atMs))
}

function tell(log: Log, saga: string, sagaId: string, before: SagaState, state: SagaState, atMs: number): void {
  const about = { saga, sagaId }
  if (state.status === 'compensating' && before.status === 'running') {
    log.warn('A saga turned back.', { ...about, reason: state.reason })
  }
  if (state.stuck !== '' && before.stuck === '') {
    log.error('A saga is stuck; see parley saga show.', { ...about, why: state.stuck })
  }
  if (state.stuck === '' && before.stuck !== '') log.warn('A saga is no longer stuck.', about)
  if (!hasEnded(state) || hasEnded(before)) return
  counter(metric.sagasEnded).add(1, { saga, outcome: state.status })
  durations(metric.sagaDuration).record((atMs - state.startedMs) / 1_000, { saga, outcome: state.status })
}

/** How each command is sent. Throws at the start where a step has no words, or its message no place for the key. */
function outgoingOf(
  node: ServiceNode,
  saga: OrchestrationNode<readonly CommandStep[]>,
  words: Readonly<Record<string, Partial<Record<string, Say>>>>,
): Outgoing {
  const ways = new Map<string, { send: Send<CommandStep['via']>; schema: DescMessage; say: Say }>()
  for (const { name, via, sends, compensation } of saga.steps) {
    const declared = (node.spec.edges ?? []).some((edge) => edge.kind === 'sends' && edge.queue.name === via.name)
    if (!declared) throw new Error(`${node.name} may not send to ${via.name}: declare sends(${via.name}).`)
    const send = taskSender(node, via)
    for (const [does, schema] of [['act', sends] as const, ['undo', compensation] as const]) {
      if (!schema) continue
      const say = words[name]?.[does]
      if (!say) throw new Error(`The saga ${saga.name} does not say what to tell ${name}: give it ${name}.${does}.`)
      if (schema.field.step?.message?.typeName !== 'parley.saga.v1.StepRef') {
        throw new Error(`${schema.typeName} has no field "step" of parley.saga.v1.StepRef: a reply could not name it.`)
      }
      ways.set(`${does} ${name}`, { send, schema, say })
    }
  }
  return (tx, { step, does }, about) => {
    const way = ways.get(`${does} ${step}`)
    if (!way) throw new Error(`The saga ${saga.name} has no way to ${does} ${step}.`)
    const ref = { saga: saga.name, sagaId: about.sagaId, step }
    way.send(tx, way.schema, { ...way.say(about as About<never>), step: ref } as MessageInitShape<DescMessage>, {
      work: `${saga.name}/${about.sagaId}/${does} ${step}`,
    })
  }
}

/** The worker of the replies. What is no reply to this saga can never become one. */
function repliesOf(
  node: ServiceNode,
  saga: OrchestrationNode<readonly CommandStep[]>,
  database: Transactions,
  handle: (tx: AnyTx, sagaId: string, news: SagaNews) => Promise<void>,
): Worker {
  const { replies: queue } = saga
  if (!queue) throw new Error(`The saga ${saga.name} has no queue of replies: declare \`replies\`.`)
  const names = new Set(saga.steps.map(({ name }) => name))
  const StepReply = async (reply: StepReply, tx: AnyTx) => {
    const { step } = reply
    if (step?.saga !== saga.name || !names.has(step.step)) {
      throw new PermanentFailure(`This answers no step of ${saga.name}: ${step?.saga}/${step?.step}`.slice(0, 200))
    }
    await handle(tx, step.sagaId, newsOf(reply, step.step))
  }
  return {
    queue,
    database,
    redelivery: resolveRedelivery(queue.redelivery),
    prefetch: workEdges(node).find((edge) => edge.queue.name === queue.name)?.policy.prefetch ?? 10,
    handlers: handlersByType([StepReplySchema], { StepReply }),
  }
}

function newsOf({ outcome }: StepReply, step: string): SagaNews {
  switch (outcome.case) {
    case 'done':
      return { kind: 'done', step, results: storable(outcome.value.results) }
    case 'refused':
      return { kind: 'refused', step, reason: wordsOf(outcome.value.reason) }
    case 'undone':
      return { kind: 'undone', step }
    case undefined:
      throw new PermanentFailure(`The reply to ${step} has no outcome.`)
  }
}

/** Words of others as they are kept: a saga must not stand still because of them. */
function wordsOf(text: string): string {
  return storableText(text.slice(0, 500))
}

function storable(results: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(results).map((pair) => pair.map(storableText)))
}
