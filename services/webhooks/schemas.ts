import { idempotencyHeaders } from '#kit/http/idempotency.ts'
import { eventTypes } from './events.ts'

const url = {
  type: 'string',
  maxLength: 2_048,
  description: 'Where deliveries are posted to: https on port 443, at public addresses.',
} as const

const types = {
  type: 'array',
  minItems: 1,
  maxItems: 50,
  items: { type: 'string', enum: eventTypes },
} as const

/** A new subscription. */
export const newWebhookSchema = {
  type: 'object',
  required: ['url', 'types'],
  additionalProperties: false,
  properties: { url, types },
} as const

/** What names a request that makes one, so that it can be repeated. */
export const newWebhookHeaders = idempotencyHeaders(
  'New for each new subscription. A second request with it gives the first one and its secret, for 24 hours.',
)

/** What may be changed of one. */
export const changeSchema = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  properties: {
    url,
    types,
    paused: { type: 'boolean', description: 'false resumes it, however it came to stand still.' },
  },
} as const

/** How a secret is exchanged. */
export const rotationSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    overlapHours: {
      type: 'number',
      minimum: 0,
      maximum: 168,
      description:
        'For this long deliveries are signed with the older secrets, too. Default 24; 0 where others may know them.',
    },
  },
} as const

/** Which deliveries are made once more. */
export const replaySchema = {
  type: 'object',
  required: ['from', 'to'],
  additionalProperties: false,
  properties: {
    from: { type: 'string', format: 'date-time' },
    to: { type: 'string', format: 'date-time' },
    delivered: { type: 'boolean', description: 'Also what arrived. Default: only what was given up.' },
    after: { type: 'string', pattern: '^[0-9]{1,18}$', description: 'The `next` of the last answer.' },
  },
} as const

/** What was replayed. */
export const replayedSchema = {
  type: 'object',
  required: ['replayed'],
  properties: {
    replayed: { type: 'integer' },
    next: { type: 'string', description: 'Where there may be more: ask again with it as `after`.' },
  },
} as const

const limit = { type: 'string', pattern: '^([1-9]|[1-9][0-9]|100)$', description: '1 to 100; default 20.' } as const

/** Which endpoints are shown. */
export const pageQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    limit,
    after: { type: 'string', pattern: '^we_[0-9a-f-]{36}$', description: 'The last id that was shown.' },
  },
} as const

/** Which deliveries are shown. */
export const deliveriesQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    limit,
    before: { type: 'string', pattern: '^[0-9]{1,18}$', description: 'The last number that was shown.' },
    state: { type: 'string', enum: ['waiting', 'delivered', 'failed'] },
  },
} as const

const time = { type: 'string', format: 'date-time' } as const

/** A subscription as it is shown. */
export const webhookSchema = {
  type: 'object',
  required: ['id', 'url', 'types', 'state', 'waiting', 'createdAt'],
  properties: {
    id: { type: 'string' },
    url: { type: 'string' },
    types,
    state: { type: 'string', enum: ['active', 'paused', 'disabled'] },
    reason: { type: 'string', enum: ['asked', 'failing', 'gone'] },
    failures: { type: 'integer', description: 'Failed attempts in a row.' },
    failingSince: time,
    probeAt: { ...time, description: 'While it is paused for failing: when one delivery is let through to see.' },
    waiting: { type: 'integer' },
    createdAt: time,
    secret: { type: 'string', description: 'Shown to the request that makes it alone.' },
    secrets: { type: 'array', items: { type: 'object', properties: { createdAt: time, expiresAt: time } } },
  },
} as const

/** A delivery as it is shown. */
export const deliverySchema = {
  type: 'object',
  required: ['number', 'eventId', 'type', 'state', 'attempts', 'replays', 'createdAt'],
  properties: {
    number: { type: 'string' },
    eventId: { type: 'string', description: 'The header webhook-id.' },
    type: { type: 'string' },
    state: { type: 'string', enum: ['waiting', 'delivered', 'failed'] },
    attempts: { type: 'integer' },
    replays: { type: 'integer' },
    nextAt: time,
    status: { type: 'integer' },
    error: {
      type: 'string',
      description: 'Stable: target-refused, redirected, gone, answered, timeout, connection, …',
    },
    reason: { type: 'string' },
    createdAt: time,
    settledAt: time,
    payload: { type: 'object' },
    log: { type: 'array', items: { type: 'object' } },
  },
} as const
