import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import type { AnyTx, Tx } from '../store/database.ts'
import type { Decoded, Envelope, EnvelopeCode } from './envelope.ts'

/** What a handler learns about a message beside its contents. */
export type MessageMeta = {
  /** The same for every delivery: an idempotency key towards others. */
  readonly id: string
  /** The full name of the message. */
  readonly type: string
  /** When it was sent, by the sender's clock. */
  readonly time: Date
  readonly source: string
  /** The key that keeps order; empty for a task. */
  readonly key: string
  readonly correlationId: string
  /** From 1. */
  readonly attempt: number
  /** The topic or queue that it came from. */
  readonly destination: string
  /** Where the answer to a question goes; empty where none is wanted. */
  readonly replyTo: string
  /** Aborts when the handler's time is up, the partition was taken away, or the process stops. */
  readonly signal: AbortSignal
}

/** Writes what a message causes. What it throws undoes it all. */
export type Effect<Tables> = (tx: Tx<Tables>) => Promise<void>

/** The effect of a message. */
type Handle<M, Tables> = (message: M, tx: Tx<Tables>, meta: MessageMeta) => Promise<void>

/**
 * What to do about one kind of message.
 * - A function: the effect, in one transaction with the note that the message was handled.
 * - `prepare`: for work outside the database, such as a call that takes long. It runs outside any transaction and
 *   answers the effect, or undefined where there is none. A crash in between repeats it, so it passes `meta.id` on as an idempotency key. Messages of
 *   different keys are prepared at the same time.
 * - `ignores`: which of them are no concern of this service, by what they say alone. Nothing is done about those and nothing is
 *   remembered, so they cost no transaction.
 */
export type Handler<M, Tables> =
  | Handle<M, Tables>
  | { readonly handle: Handle<M, Tables>; readonly ignores: (message: M) => boolean }
  | {
      readonly prepare: (message: M, meta: MessageMeta) => Promise<Effect<Tables> | undefined>
      readonly ignores?: (message: M) => boolean
    }

/** The name of a message without its package: `OrderPlaced` for `shop.orders.v1.OrderPlaced`. */
export type ShortName<N extends string> = N extends `${string}.${infer Rest}` ? ShortName<Rest> : N

/** One handler for every message, by the message's name. */
export type Handlers<D extends DescMessage, Tables> = {
  readonly [N in NameOf<D>]: Handler<MessageNamed<D, N>, Tables>
}

/** The short names of some messages. */
export type NameOf<D extends DescMessage> = D extends DescMessage ? ShortName<MessageShape<D>['$typeName']> : never
/** The message of that short name. */
export type MessageNamed<D extends DescMessage, N> = D extends DescMessage
  ? ShortName<MessageShape<D>['$typeName']> extends N
    ? MessageShape<D>
    : never
  : never

/** A handler whose message and tables are no longer known to the compiler. */
export type AnyHandler = {
  readonly schema: DescMessage
  readonly prepare?: (message: unknown, meta: MessageMeta) => Promise<((tx: AnyTx) => Promise<void>) | undefined>
  readonly effect?: (message: unknown, tx: AnyTx, meta: MessageMeta) => Promise<void>
  readonly ignores?: (message: unknown) => boolean
}

/** Handlers by the full name of their message. Throws when two messages share a short name. */
export function handlersByType(
  schemas: readonly DescMessage[],
  handlers: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, AnyHandler> {
  const byType = new Map<string, AnyHandler>()
  const names = new Set<string>()
  for (const schema of schemas) {
    if (byType.has(schema.typeName)) continue
    if (names.has(schema.name)) throw new Error(`Two messages are named ${schema.name}: consume them in two edges.`)
    names.add(schema.name)
    byType.set(schema.typeName, erase(schema, handlers[schema.name]))
  }
  return byType
}

function erase(schema: DescMessage, handler: unknown): AnyHandler {
  if (typeof handler === 'function') return { schema, effect: handler as NonNullable<AnyHandler['effect']> }
  if (typeof handler === 'object' && handler !== null) {
    const { handle, prepare, ignores = () => false } = handler as Partial<Declared>
    // Also here, for a dead letter is handled by whatever the code says today.
    if (handle)
      return { schema, ignores, effect: async (m, tx, meta) => (ignores(m) ? undefined : handle(m, tx, meta)) }
    if (prepare) return { schema, ignores, prepare: async (m, meta) => (ignores(m) ? undefined : prepare(m, meta)) }
  }
  throw new Error(`There is no handler for ${schema.typeName}: every declared message needs one.`)
}

type Declared = { readonly handle: NonNullable<AnyHandler['effect']> } & Required<
  Pick<AnyHandler, 'prepare' | 'ignores'>
>

/** Why a message is poison: it can never be handled. */
export type PoisonCode = EnvelopeCode | 'PAYLOAD_MALFORMED'

/** A message with its handler; `undefined` where it is none that this consumer declared. */
export type Readable = { readonly envelope: Envelope; readonly message: unknown; readonly handler: AnyHandler }

/** Finds the handler of a message and reads its payload. Never throws. */
export function readMessage(
  envelope: Decoded<Envelope, EnvelopeCode>,
  payload: Uint8Array,
  handlers: ReadonlyMap<string, AnyHandler>,
): Decoded<Readable | undefined, PoisonCode> {
  if (!envelope.ok) return envelope
  const handler = handlers.get(envelope.value.type)
  if (!handler) return { ok: true, value: undefined }
  try {
    return { ok: true, value: { envelope: envelope.value, message: fromBinary(handler.schema, payload), handler } }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    return { ok: false, code: 'PAYLOAD_MALFORMED', reason: `no ${envelope.value.type}: ${reason}` }
  }
}
