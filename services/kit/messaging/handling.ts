import { type Attributes, SpanKind } from '@opentelemetry/api'
import { pause } from '../app/pause.ts'
import { runAsMessage } from '../context.ts'
import { abortable, startTimer } from '../deadline.ts'
import type { AnyDatabase, AnyTx, TransactionOptions } from '../store/database.ts'
import { isCancelled, isConflict } from '../store/errors.ts'
import { StreamConflict } from '../store/event-store.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { counter, durations, extractTrace, inSpan, linkTo } from '../telemetry/telemetry.ts'
import type { Envelope } from './envelope.ts'
import type { MessageMeta, Readable } from './handlers.ts'
import { type Claimed, claim, forgetAttempts, isHandled, peek, reclaim } from './inbox.ts'
import { replyToHeader } from './question.ts'

/** One delivery of a message that can be read. */
export type Delivery = Readable & {
  readonly system: 'kafka' | 'rabbitmq'
  /** The group, or `queue <name>`: whose inbox it goes through. */
  readonly consumer: string
  readonly destination: string
  /** Empty for a task. */
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: Attributes
  /** How much longer somebody waits for the answer; absent where nobody does. */
  readonly waitsMs?: number
}

/** How long a handler may take. */
export const handlerMsMax = 30_000

/** A database that can open a transaction on whatever tables. */
export type Transactions = AnyDatabase & {
  transaction<R>(run: (tx: AnyTx) => Promise<R>, options?: TransactionOptions): Promise<R>
}

/** What came of a message: its effect, nothing because it had it before, or nothing because its key is parked. */
export type Handled =
  | { readonly outcome: 'handled' | 'repeat' }
  | { readonly outcome: 'parked'; readonly behind: string }

/**
 * Handles one message: claim and effect in one transaction. Throws what the handler threw; nothing is then written. While
 * others are in its way it is tried again at once, a few times, within the same attempt.
 */
export function handleOnce(
  database: Transactions,
  delivery: Delivery,
  attempt: number,
  signal: AbortSignal,
): Promise<Handled> {
  const { consumer, destination, key, envelope, handler, message } = delivery
  const claimed: Claimed = { consumer, topic: destination, ids: [envelope.id], keys: key ? [key] : [] }
  const { prepare, effect } = handler
  return uncontended(delivery, attempt, signal, async (meta) => {
    if (!prepare) return claimAndApply(database, claimed, (tx) => effect?.(message, tx, meta))
    const found = await peek(database, claimed)
    if (found.parked.size > 0 || found.fresh.size === 0) return outcomeOf(found.parked, key)
    const apply = await prepare(message, meta)
    return claimAndApply(database, claimed, apply)
  })
}

async function claimAndApply(
  database: Transactions,
  claimed: Claimed,
  apply: ((tx: AnyTx) => Promise<void> | undefined) | undefined,
): Promise<Handled> {
  const [key = ''] = claimed.keys
  // Where nothing can be in the way and nothing else is written, the note is a transaction by itself.
  if (!apply && key === '') {
    const { fresh } = await claim(database, claimed)
    return { outcome: fresh.size > 0 ? 'handled' : 'repeat' }
  }
  try {
    return await database.transaction(async (tx) => {
      const { fresh, parked } = await claim(tx, claimed)
      const behind = parked.get(key)
      if (behind !== undefined && fresh.size > 0) throw new Parked(behind)
      if (fresh.size === 0) return { outcome: 'repeat' }
      await apply?.(tx)
      return { outcome: 'handled' }
    })
  } catch (thrown) {
    if (thrown instanceof Parked) return { outcome: 'parked', behind: thrown.behind }
    throw thrown
  }
}

/**
 * Handles a dead letter: as `handleOnce`, though its inbox row says that it is settled and its key is parked by itself.
 * `settled` runs in the transaction of the effect, also where the message had its effect before; what it throws undoes both.
 */
export function handleAgain(
  database: Transactions,
  delivery: Delivery,
  attempt: number,
  signal: AbortSignal,
  settled: (tx: AnyTx) => Promise<void>,
): Promise<Handled> {
  const { consumer, envelope, handler, message } = delivery
  const { prepare, effect } = handler
  return uncontended(delivery, attempt, signal, async (meta) => {
    const known = prepare !== undefined && (await isHandled(database, consumer, envelope.id))
    const prepared = known ? undefined : await prepare?.(message, meta)
    return database.transaction(async (tx): Promise<Handled> => {
      const fresh = await reclaim(tx, consumer, envelope.id)
      if (fresh) await (prepare ? prepared?.(tx) : effect?.(message, tx, meta))
      await forgetAttempts(tx, consumer, envelope.id)
      await settled(tx)
      return { outcome: fresh ? 'handled' : 'repeat' }
    })
  })
}

function outcomeOf(parked: ReadonlyMap<string, string>, key: string): Handled {
  const behind = parked.get(key)
  return behind === undefined ? { outcome: 'repeat' } : { outcome: 'parked', behind }
}

/** Rolls a claim back. */
class Parked extends Error {
  readonly behind: string
  constructor(behind: string) {
    super(`behind ${behind}`)
    this.behind = behind
  }
}

/**
 * Handles messages of one topic in one transaction; null, with nothing written, where one of their keys is parked. Answers how
 * many had their effect now. Only for handlers without `prepare`.
 */
export async function handleTogether(
  database: Transactions,
  deliveries: readonly Delivery[],
  signal: AbortSignal,
): Promise<number | null> {
  const [first] = deliveries
  if (!first) return 0
  const ids = deliveries.map(({ envelope }) => envelope.id)
  const keys = [...new Set(deliveries.map(({ key }) => key))].filter((key) => key !== '')
  try {
    return await database.transaction(async (tx) => {
      const { fresh, parked } = await claim(tx, { consumer: first.consumer, topic: first.destination, ids, keys })
      const [behind] = parked.values()
      if (behind !== undefined) throw new Parked(behind)
      const left = new Set(fresh)
      for (const delivery of deliveries) {
        // The same event may also be in the batch twice.
        if (!left.delete(delivery.envelope.id)) continue
        const { handler, message } = delivery
        await traced(delivery, 1, signal, async (meta) => handler.effect?.(message, tx, meta))
      }
      return fresh.size
    })
  } catch (thrown) {
    if (thrown instanceof Parked) return null
    throw thrown
  }
}

/** A message as it is told of in a trace. */
type Processed = Pick<Delivery, 'system' | 'destination' | 'consumer' | 'headers' | 'attributes'> & {
  readonly envelope: Pick<Envelope, 'id' | 'type' | 'correlationId'>
}

/**
 * The span of a message's processing: a child of the sender's, so that an order is one trace; it links to it as well, which is
 * how batches are told.
 */
export function processSpan({ system, destination, consumer, headers, attributes, envelope }: Processed) {
  return {
    kind: SpanKind.CONSUMER,
    parent: extractTrace(headers),
    links: linkTo(headers),
    attributes: {
      ...attributes,
      [attribute.messagingSystem]: system,
      [attribute.messagingOperationName]: 'process',
      [attribute.messagingOperationType]: 'process',
      [attribute.messagingDestination]: destination,
      [attribute.messagingConsumerGroup]: consumer,
      [attribute.messagingMessageId]: envelope.id,
      [attribute.eventType]: envelope.type,
      [attribute.correlationId]: envelope.correlationId,
    },
  }
}

/** Tries within one attempt at most, while others are in the way. */
const triesMax = 5

/**
 * As `traced`, and again after short waits where other transactions were in the way, which says nothing about the message. The time
 * limit is that of all tries together. What still fails after the last is a failure like any other: a handler whose statement
 * never ends in time must not hold up its partition for ever.
 */
function uncontended<T>(
  delivery: Delivery,
  attempt: number,
  signal: AbortSignal,
  run: (meta: MessageMeta) => Promise<T>,
): Promise<T> {
  return traced(delivery, attempt, signal, async (meta) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await run(meta)
      } catch (thrown) {
        if (tries >= triesMax || !isContention(thrown)) throw thrown
        await pause(Math.random() * 20 * 2 ** tries, meta.signal)
        if (meta.signal.aborted) throw thrown
      }
    }
  })
}

/** A deadlock, a serialization failure, a stream that another wrote to first, or a statement that waited for too long. */
function isContention(thrown: unknown): boolean {
  return thrown instanceof StreamConflict || isConflict(thrown) || isCancelled(thrown)
}

/** Runs work for a message within the trace and the correlation id that came with it, and within the time limit. */
function traced<T>(
  delivery: Delivery,
  attempt: number,
  signal: AbortSignal,
  run: (meta: MessageMeta) => Promise<T>,
): Promise<T> {
  const { destination, envelope, headers, key } = delivery
  const { id, type, time, source, correlationId } = envelope
  const beganMs = performance.now()
  const timer = startTimer(Math.min(handlerMsMax, delivery.waitsMs ?? handlerMsMax), signal)
  durations(metric.messagingDelay).record(Math.max(0, Date.now() - time.getTime()) / 1_000, { destination })
  const work = inSpan(`process ${destination}`, processSpan(delivery), () =>
    runAsMessage(
      correlationId || undefined,
      () => {
        const replyTo = headers[replyToHeader] ?? ''
        const meta = { id, type, time, source, key, correlationId, attempt, destination, replyTo, signal: timer.signal }
        return abortable(timer.signal, run(meta))
      },
      timer.signal,
      delivery.waitsMs === undefined ? null : timer.deadline,
    ),
  )
  return work.then(
    (result) => end(timer, delivery, beganMs, 'handled', result),
    (thrown: unknown) => {
      end(timer, delivery, beganMs, 'failed', undefined)
      throw thrown
    },
  )
}

function end<T>(timer: { clear(): void }, { destination }: Delivery, beganMs: number, outcome: string, result: T): T {
  timer.clear()
  const labels = { destination, outcome }
  durations(metric.messagingProcessDuration).record((performance.now() - beganMs) / 1_000, labels)
  counter(metric.messagingConsumed).add(1, labels)
  return result
}
