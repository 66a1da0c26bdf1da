import { isServiceError } from '../errors.ts'
import type { PoisonCode } from './handlers.ts'

/** Why a message became a dead letter. The codes are stable. */
export type DeadLetterCode =
  | PoisonCode
  /** Every attempt that the edge allows failed. */
  | 'ATTEMPTS_USED_UP'
  /** The handler said that no attempt will ever succeed. */
  | 'PERMANENT'
  /** An earlier message of the same key is a dead letter; this one must not overtake it. */
  | 'BEHIND'

/** What a dead letter says beside the original message. */
export type DeadLetterReason = {
  readonly code: DeadLetterCode
  /** A sentence: the error's message, or the id that it is behind. */
  readonly message: string
  /** The error's class; empty where there was none. */
  readonly exception: string
  readonly attempts: number
}

/** Where a message was taken from. */
export type Origin = {
  /** The group or the queue. */
  readonly consumer: string
  readonly destination: string
  readonly eventId: string
  readonly partition?: number
  readonly offset?: bigint
}

const prefix = 'dead-letter-'
const messageLengthMax = 1_000
/** Original headers and payload beyond this, together, are left out: the broker would not take the dead letter. */
const originalBytesMax = 850_000

/** The headers of a dead letter: the original ones, and the reason under `dead-letter-…`. */
export function deadLetterHeaders(
  original: Readonly<Record<string, string>>,
  { consumer, destination, eventId, partition, offset }: Origin,
  { code, message, exception, attempts }: DeadLetterReason,
  at: Date,
): Record<string, string> {
  return {
    ...original,
    [`${prefix}code`]: code,
    [`${prefix}reason`]: message.toWellFormed().slice(0, messageLengthMax).toWellFormed(),
    ...(exception && { [`${prefix}exception`]: exception }),
    [`${prefix}attempts`]: String(attempts),
    [`${prefix}consumer`]: consumer,
    [`${prefix}origin`]: destination,
    ...(partition !== undefined && { [`${prefix}partition`]: String(partition) }),
    ...(offset !== undefined && { [`${prefix}offset`]: String(offset) }),
    [`${prefix}event-id`]: eventId,
    [`${prefix}time`]: at.toISOString(),
  }
}

const codes: Readonly<Record<DeadLetterCode, true>> = {
  ATTEMPTS_USED_UP: true,
  PERMANENT: true,
  BEHIND: true,
  PAYLOAD_MALFORMED: true,
  ENVELOPE_ATTRIBUTE_MISSING: true,
  ENVELOPE_ATTRIBUTE_MALFORMED: true,
  ENVELOPE_VERSION_UNKNOWN: true,
  ENVELOPE_CONTENT_TYPE_UNKNOWN: true,
}

/** Takes apart what `deadLetterHeaders` put together; the reason is null where somebody else put the letter there. */
export function readDeadLetterHeaders(headers: Readonly<Record<string, string>>): {
  readonly headers: Record<string, string>
  readonly reason: DeadLetterReason | null
} {
  const original = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(prefix)))
  const told = (name: string) => headers[prefix + name] ?? ''
  const code = told('code')
  if (!isCode(code)) return { headers: original, reason: null }
  const attempts = Number(told('attempts'))
  return {
    headers: original,
    reason: {
      code,
      message: told('reason'),
      exception: told('exception'),
      attempts: Number.isInteger(attempts) ? attempts : 0,
    },
  }
}

function isCode(code: string): code is DeadLetterCode {
  return Object.hasOwn(codes, code)
}

/** Drops what is too large to be sent on; the origin in the headers tells where the whole message lies. */
export function withinLimit(
  headers: Readonly<Record<string, string>>,
  payload: Buffer,
): { readonly headers: Readonly<Record<string, string>>; readonly payload: Buffer } {
  const bytes = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0)
  if (bytes + payload.length <= originalBytesMax) return { headers, payload }
  const kept = Object.entries(headers).filter(([name]) => name.startsWith(prefix))
  const omitted = { [`${prefix}omitted`]: `${bytes + payload.length} bytes of headers and payload` }
  return { headers: { ...Object.fromEntries(kept), ...omitted }, payload: Buffer.alloc(0) }
}

/** The reason that an error gives after so many attempts. */
export function reasonOf(error: unknown, attempts: number): DeadLetterReason {
  const code = isPermanent(error) ? 'PERMANENT' : 'ATTEMPTS_USED_UP'
  if (!(error instanceof Error)) return { code, message: String(error), exception: typeof error, attempts }
  return { code, message: error.message, exception: error.name, attempts }
}

/** Thrown by a handler: no attempt with this message will ever succeed, so it becomes a dead letter at once. */
export class PermanentFailure extends Error {
  override readonly name = 'PermanentFailure'
}

/** Whether another attempt with the same message is pointless, by the word of the handler. */
export function isPermanent(error: unknown): boolean {
  return (
    error instanceof PermanentFailure ||
    isServiceError(error, 'invalid-argument', 'idempotency-key-reused', 'unimplemented')
  )
}
