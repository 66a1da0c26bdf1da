import { isUtf8 } from 'node:buffer'
import { timingSafeEqual } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { ServiceError } from '../errors.ts'
import { webhookHeaders } from './signature.ts'

/** Which webhooks were taken. `remember` answers false for an id that it knows; it may forget one after `until`. */
export type SeenWebhooks = { remember(id: string, until: Date): boolean | Promise<boolean> }

/** A webhook as it arrives, and what it is judged by. */
export type Received = {
  /** Names in lower case, as Node gives them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** The bytes as they came: a body that was parsed and written again has another signature. */
  readonly body: Buffer | string
  /** Those of the subscription; several while one is exchanged for another. */
  readonly secrets: readonly string[]
  /** Best in the transaction of the effect: then a crash in between forgets both. */
  readonly seen: SeenWebhooks
  readonly now?: Date
  /** How far its time may be from now. Default: 5 min. */
  readonly toleranceMs?: number
}

const toleranceMsDefault = 300_000
const signaturesMax = 10
const idCharactersMax = 256

/**
 * Whether a webhook is what it says: signed with one of the secrets, of now, and new. All comparisons take the same time whatever
 * is compared. Answers its id.
 * @throws ServiceError `webhook-forged`, `webhook-stale` or `webhook-replayed`; the last was ours, so it is answered with 2xx
 */
export async function verifyWebhook(received: Received): Promise<string> {
  const { secrets, seen, now = new Date(), toleranceMs = toleranceMsDefault } = received
  const { id, at, signatures, body } = read(received)
  let genuine = false
  for (const secret of secrets) {
    const expected = Buffer.from(new Webhook(secret).sign(id, at, body))
    for (const signature of signatures) genuine = equal(Buffer.from(signature), expected) || genuine
  }
  if (!genuine) throw forged('No signature fits: it is another secret’s, or the webhook was changed on its way.')
  const offMs = Math.abs(now.getTime() - at.getTime())
  if (offMs > toleranceMs) {
    throw new ServiceError(
      'webhook-stale',
      `It was sent for ${at.toISOString()}, more than ${toleranceMs} ms from now.`,
    )
  }
  // From its time on the same webhook is fresh for as long as the tolerance, before and after.
  if (!(await seen.remember(id, new Date(at.getTime() + 2 * toleranceMs)))) {
    throw new ServiceError('webhook-replayed', `The webhook ${id} was taken already.`)
  }
  return id
}

/** Remembers ids in this process, the newest `idsMax` of them. For one process; several share a table. */
export function seenInMemory(idsMax = 10_000): SeenWebhooks {
  const ids = new Set<string>()
  return {
    remember(id) {
      if (ids.has(id)) return false
      if (ids.size >= idsMax) for (const oldest of [...ids].slice(0, 1)) ids.delete(oldest)
      ids.add(id)
      return true
    },
  }
}

function read({ headers, body }: Received) {
  const [id, timestamp, signature] = [webhookHeaders.id, webhookHeaders.timestamp, webhookHeaders.signature].map(
    (name) => {
      const value = headers[name]
      if (typeof value !== 'string' || value === '') throw forged(`The header ${name} is missing, or there twice.`)
      return value
    },
  ) as [string, string, string]
  if (id.length > idCharactersMax) throw forged(`The id has more than ${idCharactersMax} characters.`)
  if (!/^\d{1,12}$/.test(timestamp)) throw forged('The time is no number of seconds.')
  const signatures = signature.split(' ')
  if (signatures.length > signaturesMax) throw forged(`There are more than ${signaturesMax} signatures.`)
  // Bytes that are no text would all be read as the same replacement.
  if (typeof body !== 'string' && !isUtf8(body)) throw forged('The body is no UTF-8.')
  return { id, at: new Date(Number(timestamp) * 1_000), signatures, body: body.toString() }
}

function equal(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

function forged(message: string): ServiceError {
  return new ServiceError('webhook-forged', message)
}
