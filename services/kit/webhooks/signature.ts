import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'

const secretPrefix = 'whsec_'
/** Standard Webhooks asks for 24 to 64. */
const secretBytes = 32

/** The headers of Standard Webhooks. The id is the same for every attempt; the time is each attempt's own. */
export const webhookHeaders = {
  id: 'webhook-id',
  timestamp: 'webhook-timestamp',
  signature: 'webhook-signature',
} as const

/** A new secret, such as `whsec_MfKQ…`. */
export function newSecret(): string {
  return `${secretPrefix}${randomBytes(secretBytes).toString('base64')}`
}

/** The headers that sign a body: one signature for each valid secret, so that a receiver needs to know only one of them. */
export function signatureHeaders(
  id: string,
  at: Date,
  body: string,
  secrets: readonly string[],
): Readonly<Record<string, string>> {
  if (secrets.length === 0) throw new Error(`there is no valid secret to sign the webhook ${id} with`)
  return {
    [webhookHeaders.id]: id,
    [webhookHeaders.timestamp]: String(Math.floor(at.getTime() / 1_000)),
    [webhookHeaders.signature]: secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  }
}
