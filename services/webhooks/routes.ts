import { problemSchema } from '#kit/http/problem-schema.ts'
import type { webhookHandlers } from './handlers.ts'
import {
  changeSchema,
  deliveriesQuery,
  deliverySchema,
  newWebhookHeaders,
  newWebhookSchema,
  pageQuery,
  replayedSchema,
  replaySchema,
  rotationSchema,
  webhookSchema,
} from './schemas.ts'

type Handlers = ReturnType<typeof webhookHandlers>

const missing = { 404: problemSchema, 503: problemSchema } as const
const wrong = { 400: problemSchema, 409: problemSchema, ...missing } as const

/** The routes of the interface, each with what its document says of it. */
export function webhookRoutes(handlers: Handlers) {
  return {
    createWebhook: {
      summary: 'Subscribes a URL to some types of events. The secret of its signatures is shown to this request alone.',
      headers: newWebhookHeaders,
      body: newWebhookSchema,
      responses: { 201: webhookSchema, 422: problemSchema, ...wrong },
      handler: handlers.create,
    },
    listWebhooks: {
      summary: 'Shows the subscriptions.',
      query: pageQuery,
      responses: { 200: { type: 'object', properties: { webhooks: { type: 'array', items: webhookSchema } } } },
      handler: handlers.list,
    },
    getWebhook: {
      summary: 'Shows a subscription, and how it fares.',
      responses: { 200: webhookSchema, ...missing },
      handler: handlers.get,
    },
    updateWebhook: {
      summary: 'Changes the URL or the types of a subscription, pauses it, or resumes it.',
      body: changeSchema,
      responses: { 200: webhookSchema, ...wrong },
      handler: handlers.update,
    },
    deleteWebhook: {
      summary: 'Ends a subscription. What waits is not delivered any more.',
      responses: missing,
      handler: handlers.remove,
    },
    rotateSecret: {
      summary: 'Makes a new secret. The older ones sign beside it for a while.',
      body: rotationSchema,
      responses: wrong,
      handler: handlers.rotate,
    },
    pingWebhook: {
      summary: 'Delivers a trial, as any other event.',
      responses: wrong,
      handler: handlers.ping,
    },
    listDeliveries: {
      summary: 'The delivery log, the newest first.',
      query: deliveriesQuery,
      responses: {
        200: { type: 'object', properties: { deliveries: { type: 'array', items: deliverySchema } } },
        ...missing,
      },
      handler: handlers.deliveries,
    },
    getDelivery: {
      summary: 'One delivery with what is sent, and every attempt.',
      responses: { 200: deliverySchema, ...missing },
      handler: handlers.delivery,
    },
    replayDelivery: {
      summary: 'Delivers it once more, under the same webhook-id.',
      responses: wrong,
      handler: handlers.replayOne,
    },
    replayDeliveries: {
      summary:
        'Delivers once more what failed in a span of time, and with `delivered` also what arrived. Oldest first and 10,000 at most: while the answer has `next`, ask again with it as `after`.',
      body: replaySchema,
      responses: { 202: replayedSchema, ...wrong },
      handler: handlers.replay,
    },
  } as const
}
