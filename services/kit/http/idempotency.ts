import { invalidArgument } from '../errors.ts'

/** The header in which a client names its request, so that a second one with the same name is recognised. */
const idempotencyHeader = 'idempotency-key'

/** The longest key. */
const idempotencyKeyCharactersMax = 255

/** How long a key is remembered. A client that asks again later than that makes something new. */
export const idempotencyKeptMs = 24 * 3_600_000

/** The schema of a request's headers where it needs a key; `description` tells what the same key stands for. */
export function idempotencyHeaders(description: string) {
  return {
    type: 'object',
    required: [idempotencyHeader],
    properties: {
      [idempotencyHeader]: { type: 'string', minLength: 1, maxLength: idempotencyKeyCharactersMax, description },
    },
  } as const
}

/**
 * Reads the idempotency key of a request: 1 to 255 printable ASCII characters.
 * @throws ServiceError `invalid-argument` when it is missing or malformed
 */
export function readIdempotencyKey(given: string | readonly string[] | undefined): string {
  const wrong = (code: string, message: string) =>
    invalidArgument(message, { field: `header:${idempotencyHeader}`, code, message })
  if (given === undefined)
    throw wrong('required', 'Send the header idempotency-key with a name that is new for each new request.')
  if (typeof given !== 'string') throw wrong('single', 'Send the header idempotency-key once.')
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(given) || given.length > idempotencyKeyCharactersMax) {
    throw wrong('format', `An idempotency key has 1 to ${idempotencyKeyCharactersMax} printable ASCII characters.`)
  }
  return given
}
