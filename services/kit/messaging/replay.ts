import type { DescMessage } from '@bufbuild/protobuf'
import { ServiceError } from '../errors.ts'
import { StoreUnavailable } from '../store/errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Consumer } from './consumer.ts'
import { reasonOf } from './dead-letter.ts'
import {
  type DeadLetterRow,
  findDeadLetter,
  firstOfKey,
  type Lease,
  leaseDeadLetter,
  listHeads,
  readClock,
  returnDeadLetter,
  settleReplayed,
} from './dead-letters.ts'
import { decodeEnvelope } from './envelope.ts'
import { type AnyHandler, readMessage } from './handlers.ts'
import { type Delivery, handleAgain, handlerMsMax, type Transactions } from './handling.ts'
import { unpark } from './inbox.ts'
import type { Worker } from './worker.ts'

/** What came of one letter. */
export type ReplayOutcome = {
  readonly number: string
  readonly eventId: string
  /** `repeat`: the message had had its effect, and the letter is settled. `busy`: another replay has it. */
  readonly outcome: 'handled' | 'repeat' | 'failed' | 'busy'
  /** Why it failed. */
  readonly reason?: string
}

/** What came of a replay, and what to ask for next: a replay takes some seconds at most; `next` is null when all were tried. */
export type Replayed = { readonly outcomes: readonly ReplayOutcome[]; readonly next: string | null }

/** What replays dead letters. */
export type Replayer = {
  /**
   * Handles a letter now, and then those that waited behind it, in their order, until one fails. Other groups of its topic hear
   * nothing of it. Rejects with `failed-precondition` where it is not the first of its key or settled already.
   */
  replay(number: bigint): Promise<Replayed>
  /** Handles all that wait, of one topic or queue or of all, each once: `after` is 0, and from then on what was answered as `next`. */
  replayAll(query: { readonly after: bigint; readonly destination: string | null }): Promise<Replayed>
  /** The descriptor of a letter's message; undefined where its envelope cannot be read or nobody here handles it. */
  schemaOf(letter: Pick<DeadLetterRow, 'kind' | 'consumer' | 'destination' | 'headers'>): DescMessage | undefined
}

export type ReplayParts = {
  readonly database: Transactions
  readonly consumers: readonly Consumer[]
  readonly workers: readonly Worker[]
  readonly log: Log
  /** Aborts when the process stops. */
  readonly signal: AbortSignal
  /** After so long a request begins no further letter: whoever asks waits for 10 s. Default 4,000. */
  readonly requestMs?: number
}

/** A handler ends before the letter can be taken by somebody else. */
const leaseMs = handlerMsMax + 15_000
const keysOfRequestMax = 50
const keysAtOnceMax = 4
const lettersOfKeyMax = 100

/**
 * Replays in this process what its consumers and workers could not handle. However many replays of a letter there are at once, it has
 * one effect: one of them at a time has the letter, and the effect commits together with its settlement or not at all.
 */
export function createReplayer(parts: ReplayParts): Replayer {
  return {
    async replay(number) {
      const { outcomes, next } = await replayKey(parts, number, { all: false, endsAtMs: endOf(parts) })
      return { outcomes, next: next === undefined ? null : String(next) }
    },
    async replayAll({ after, destination }) {
      const endsAtMs = endOf(parts)
      const since = after === 0n ? await readClock(parts.database) : after
      const heads = await listHeads(parts.database, { since, destination, limit: keysOfRequestMax })
      const outcomes: ReplayOutcome[] = []
      const left = [...heads]
      let more = heads.length === keysOfRequestMax
      const work = async () => {
        for (let head = left.shift(); head !== undefined; head = left.shift()) {
          const replayed = await replayKey(parts, head, { all: true, endsAtMs })
          outcomes.push(...replayed.outcomes)
          more ||= replayed.next !== undefined
          if (performance.now() >= endsAtMs) return
        }
      }
      await Promise.all(Array.from({ length: keysAtOnceMax }, work))
      return { outcomes, next: more || left.length > 0 ? String(since) : null }
    },
    schemaOf(letter) {
      const envelope = decodeEnvelope(letter.headers, bindings[letter.kind])
      return envelope.ok ? handlersOf(parts, letter)?.get(envelope.value.type)?.schema : undefined
    },
  }
}

const bindings = { topic: 'kafka', queue: 'amqp' } as const
const systems = { topic: 'kafka', queue: 'rabbitmq' } as const

function endOf({ requestMs = 4_000 }: ReplayParts): number {
  return performance.now() + requestMs
}

/** Before its turn, a letter may have been settled by another. */
function movedOn(number: bigint, thrown: unknown): ReplayOutcome {
  if (thrown instanceof ServiceError && thrown.code === 'failed-precondition') {
    return { number: String(number), eventId: '', outcome: 'busy', reason: thrown.message }
  }
  throw thrown
}

function settled(outcome: ReplayOutcome): boolean {
  return outcome.outcome === 'handled' || outcome.outcome === 'repeat'
}

/** `all`: also those that did not wait only because of the letters before them. */
type Chain = { readonly all: boolean; readonly endsAtMs: number }

/** One letter, and those of its key after it; `next` where there are more than this request has time for. */
async function replayKey(
  parts: ReplayParts,
  head: bigint,
  { all, endsAtMs }: Chain,
): Promise<{ outcomes: ReplayOutcome[]; next?: bigint }> {
  const outcomes: ReplayOutcome[] = []
  for (let number = head; ; ) {
    const letter = await findDeadLetter(parts.database, number)
    if (!letter) throw new ServiceError('not-found', `There is no dead letter ${number}.`)
    const replayed = replayOne(parts, letter)
    const asked = number === head && !all
    const outcome = await (asked ? replayed : replayed.catch((thrown: unknown) => movedOn(letter.number, thrown)))
    outcomes.push(outcome)
    const next = settled(outcome) ? await firstOfKey(parts.database, letter) : undefined
    if (!next || !(all || next.code === 'BEHIND')) return { outcomes }
    number = next.number
    const cut = outcomes.length >= lettersOfKeyMax || performance.now() >= endsAtMs || parts.signal.aborted
    if (cut) return { outcomes, next: number }
  }
}

type Letter = DeadLetterRow & { readonly payload: Buffer }

async function replayOne(parts: ReplayParts, letter: Letter): Promise<ReplayOutcome> {
  const { database, log, signal } = parts
  const { number, eventId, destination, key } = letter
  const told = { number: String(number), eventId }
  const lease = await leaseDeadLetter(database, number, leaseMs)
  if (!lease) return { ...told, outcome: 'busy', reason: await whyNot(parts, number) }
  const attempt = letter.attempts + 1
  try {
    const handled = await handleAgain(database, deliveryOf(parts, letter), attempt, signal, async (tx) => {
      if (!(await settleReplayed(tx, lease))) throw new LeaseLost()
      if (key !== '') await unpark(tx, letter.consumer, destination, key)
    })
    log.info('A dead letter was replayed.', { number: told.number, eventId, destination, outcome: handled.outcome })
    return { ...told, outcome: handled.outcome === 'repeat' ? 'repeat' : 'handled' }
  } catch (thrown) {
    return failed(parts, letter, lease, thrown)
  }
}

/** Another replay took the letter, because this one took too long. */
class LeaseLost extends Error {}

async function failed(
  { database, log, signal }: ReplayParts,
  letter: Letter,
  lease: Lease,
  thrown: unknown,
): Promise<ReplayOutcome> {
  const told = { number: String(letter.number), eventId: letter.eventId }
  if (thrown instanceof LeaseLost) return { ...told, outcome: 'busy', reason: 'Another replay has taken it over.' }
  if (thrown instanceof StoreUnavailable) throw thrown
  // What the end of the process cut off says nothing about the message.
  const reason = signal.aborted || thrown instanceof Unreadable ? null : reasonOf(thrown, letter.attempts + 1)
  await returnDeadLetter(database, lease, reason)
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  log.warn('A dead letter failed again; it stays where it is.', { ...told, error: thrown })
  return { ...told, outcome: 'failed', reason: message }
}

/** It can never be handled by this version of the service; its first reason stays. */
class Unreadable extends Error {
  override readonly name = 'Unreadable'
}

function deliveryOf(parts: ReplayParts, letter: Letter): Delivery {
  const { kind, consumer, destination, key, headers, payload } = letter
  const handlers = handlersOf(parts, letter)
  if (!handlers) throw new Unreadable(`This service no longer consumes ${destination} as ${consumer}.`)
  const readable = readMessage(decodeEnvelope(headers, bindings[kind]), payload, handlers)
  if (!readable.ok) throw new Unreadable(readable.reason)
  if (asked(parts, letter)) throw new Unreadable('It is a question, and nobody waits for its answer: discard it.')
  if (!readable.value)
    throw new Unreadable(`This service has no handler for it: it was not declared for ${destination}.`)
  return { ...readable.value, system: systems[kind], consumer, destination, key, headers, attributes: {} }
}

function asked({ workers }: ReplayParts, { kind, destination }: Letter): boolean {
  return kind === 'queue' && workers.some(({ queue }) => queue.name === destination && queue.replies !== null)
}

function handlersOf(
  { consumers, workers }: ReplayParts,
  { kind, consumer, destination }: Pick<DeadLetterRow, 'kind' | 'consumer' | 'destination'>,
): ReadonlyMap<string, AnyHandler> | undefined {
  if (kind === 'queue') return workers.find(({ queue }) => queue.name === destination)?.handlers
  return consumers.find(({ topic, policy }) => topic.name === destination && policy.group === consumer)?.handlers
}

/** A sentence for whoever asked; throws where asking again is of no use. */
async function whyNot({ database }: ReplayParts, number: bigint): Promise<string> {
  const letter = await findDeadLetter(database, number)
  if (letter && letter.state !== 'waiting') {
    throw new ServiceError('failed-precondition', `The dead letter ${number} is ${letter.state} already.`)
  }
  const first = letter && (await firstOfKey(database, letter))
  if (first && first.number !== number) {
    const message = `The dead letter ${number} waits behind ${first.number} of its key: replay or discard that first.`
    throw new ServiceError('failed-precondition', message)
  }
  return 'Another replay has it.'
}
