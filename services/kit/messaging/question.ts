/** The headers by which a question and its answer find each other, beside AMQP's own properties. */

import { type ErrorCode, errorCodes, ServiceError, type Violation } from '../errors.ts'

/** Where the property `reply-to` stands while a question waits for its next attempt. */
export const replyToHeader = 'parley-reply-to'
/** How long its asker waits, from the envelope's time on. */
export const waitsHeader = 'parley-waits-ms'
/** On an answer: the id of its question. */
export const answersHeader = 'parley-answers'
const errorHeader = 'parley-error'

/** How much longer somebody waits for the answer, at least 0; undefined where nobody said. Both clocks are the wall's. */
export function waitsMs(headers: Readonly<Record<string, string>>, askedAt: Date, now: number): number | undefined {
  const given = Number(headers[waitsHeader] ?? Number.NaN)
  return Number.isFinite(given) ? Math.max(0, askedAt.getTime() + given - now) : undefined
}

const messageLengthMax = 500
const violationsMax = 20

/** The header of an answer that says why there is none. What went wrong inside stays inside. */
export function errorHeaders(thrown: unknown): Record<string, string> {
  const { code, message, violations } = ServiceError.from(thrown)
  const shown = code === 'internal' ? 'The question could not be answered.' : message.slice(0, messageLengthMax)
  return { [errorHeader]: JSON.stringify({ code, message: shown, violations: violations.slice(0, violationsMax) }) }
}

/** Reads it again; null for an answer that holds what was asked for. */
export function errorOf(headers: Readonly<Record<string, unknown>>): ServiceError | null {
  const text = headers[errorHeader]
  if (typeof text !== 'string') return null
  try {
    const { code, message, violations } = JSON.parse(text) as { code: string; message: string; violations: Violation[] }
    if (isErrorCode(code)) return new ServiceError(code, String(message), { violations })
  } catch {
    // Said below.
  }
  return new ServiceError('internal', 'The answer holds an error that cannot be read.')
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code)
}
