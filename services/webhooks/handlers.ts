import { randomUUID } from 'node:crypto'
import { invalidArgument, notFound, ServiceError } from '#kit/errors.ts'
import { readIdempotencyKey } from '#kit/http/idempotency.ts'
import type { RestRequest, RestResponse } from '#kit/http/server.ts'
import {
  changeEndpoint,
  deleteEndpoint,
  type Endpoint,
  type EndpointRules,
  listEndpoints,
  noEndpoint,
  rotateSecret,
  secretsOf,
  showEndpoint,
  subscribe,
  type WebhookDatabase,
} from '#kit/webhooks/endpoints.ts'
import { type Delivery, listDeliveries, replayDeliveries, replayDelivery, showDelivery } from '#kit/webhooks/log.ts'
import { tellOne } from '#kit/webhooks/queue.ts'
import type { webhooksApi } from '#mesh/shop/interfaces.ts'
import type { changeSchema, newWebhookSchema, replaySchema, rotationSchema } from './schemas.ts'

type Routes = (typeof webhooksApi)['routes']
type Request<K extends keyof Routes, Body = undefined> = RestRequest<Routes[K], Body>

const path = '/api/v1/webhooks'
const limitDefault = 20
const overlapHoursDefault = 24

/** What subscribers may ask of one webhook. */
export function webhookHandlers(database: WebhookDatabase, rules: EndpointRules) {
  return { ...subscriptionHandlers(database, rules), ...deliveryHandlers(database, rules.webhook) }
}

function subscriptionHandlers(database: WebhookDatabase, rules: EndpointRules) {
  const { webhook } = rules
  const shown = async (id: string) => {
    const endpoint = await showEndpoint(database, webhook, id)
    const secrets = await secretsOf(database, id, new Date())
    return { ...endpointJson(endpoint), secrets: secrets.map(withoutNothing) }
  }
  return {
    /** The secret is in this answer, and in that to the same request repeated under its key. */
    async create({ body, headers }: Request<'createWebhook', typeof newWebhookSchema>): Promise<RestResponse> {
      const key = readIdempotencyKey(headers['idempotency-key'])
      const { id, secret, replayed } = await subscribe(database, rules, { ...body, key })
      const told = { location: `${path}/${id}`, ...unkept, ...(replayed && { 'idempotency-replayed': 'true' }) }
      return { status: 201, body: { ...(await shown(id)), secret }, headers: told }
    },
    async list({ query }: Request<'listWebhooks'>): Promise<RestResponse> {
      const limit = limitOf(query.limit)
      const found = await listEndpoints(database, webhook, { after: one(query.after) ?? '', limit })
      return { status: 200, body: { webhooks: found.map(endpointJson) } }
    },
    async get({ params }: Request<'getWebhook'>): Promise<RestResponse> {
      return { status: 200, body: await shown(idOf(params)) }
    },
    async update({ params, body }: Request<'updateWebhook', typeof changeSchema>): Promise<RestResponse> {
      await changeEndpoint(database, rules, idOf(params), body)
      return { status: 200, body: await shown(idOf(params)) }
    },
    async remove({ params }: Request<'deleteWebhook'>): Promise<RestResponse> {
      await deleteEndpoint(database, webhook, idOf(params))
      return { status: 204 }
    },
    async rotate({ params, body }: Request<'rotateSecret', typeof rotationSchema>): Promise<RestResponse> {
      const overlapMs = (body.overlapHours ?? overlapHoursDefault) * 3_600_000
      const { secret, olderEndAt } = await rotateSecret(database, webhook, idOf(params), overlapMs)
      return { status: 201, body: { secret, olderEndAt }, headers: unkept }
    },
  }
}

function deliveryHandlers(database: WebhookDatabase, webhook: string) {
  return {
    /** Goes the way of every delivery, so that it shows whether one would arrive. */
    async ping({ params }: Request<'pingWebhook'>): Promise<RestResponse> {
      const endpoint = await showEndpoint(database, webhook, idOf(params))
      const event = {
        id: `ping_${randomUUID()}`,
        type: 'webhook.ping',
        time: new Date(),
        data: {},
      }
      const number = await database.transaction((tx) => tellOne(tx, webhook, event, endpoint.id))
      if (number === undefined)
        throw new ServiceError('failed-precondition', 'The endpoint is disabled: resume it first.')
      const location = `${path}/${endpoint.id}/deliveries/${number}`
      return { status: 202, body: { number: String(number), eventId: event.id }, headers: { location } }
    },
    async deliveries({ params, query }: Request<'listDeliveries'>): Promise<RestResponse> {
      await showEndpoint(database, webhook, idOf(params))
      const before = one(query.before)
      const page = {
        before: before === undefined ? undefined : BigInt(before),
        state: one(query.state) as Delivery['state'] | undefined,
        limit: limitOf(query.limit),
      }
      return {
        status: 200,
        body: { deliveries: (await listDeliveries(database, idOf(params), page)).map(deliveryJson) },
      }
    },
    async delivery({ params }: Request<'getDelivery'>): Promise<RestResponse> {
      await showEndpoint(database, webhook, idOf(params))
      const { delivery, payload, attempts } = await showDelivery(database, idOf(params), numberOf(params.number))
      const log = attempts.map(withoutNothing)
      return { status: 200, body: { ...deliveryJson(delivery), payload: JSON.parse(payload), log } }
    },
    async replayOne({ params }: Request<'replayDelivery'>): Promise<RestResponse> {
      await replayDelivery(database, webhook, idOf(params), numberOf(params.number))
      return { status: 202, body: { replayed: 1 } }
    },
    async replay({ params, body }: Request<'replayDeliveries', typeof replaySchema>): Promise<RestResponse> {
      const [from, to] = [new Date(body.from), new Date(body.to)]
      // Leap seconds are written like any other, and are no moment here.
      if (!(from < to)) {
        const message = 'It is a moment after `from`.'
        throw invalidArgument(message, { field: 'to', code: 'order', message })
      }
      const after = body.after === undefined ? undefined : BigInt(body.after)
      const { replayed, next } = await replayDeliveries(database, webhook, idOf(params), {
        from,
        to,
        delivered: body.delivered,
        after,
      })
      return { status: 202, body: { replayed, ...(next !== undefined && { next: String(next) }) } }
    },
  }
}

/** A secret is for the one who asked, and for nobody who keeps answers. */
const unkept = { 'cache-control': 'no-store' }

function endpointJson({ id, url, types, health, waiting, createdAt }: Endpoint): object {
  const { state, reason, failures, failingSince, probeAt } = health
  return withoutNothing({ id, url, types, state, reason, failures, failingSince, probeAt, waiting, createdAt })
}

function deliveryJson({ number, ...delivery }: Delivery): object {
  return { number: String(number), ...withoutNothing(delivery) }
}

/** What is empty or not there is left out. */
function withoutNothing(all: object): object {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== ''))
}

function one(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

function limitOf(value: string | readonly string[] | undefined): number {
  return Number(one(value) ?? limitDefault)
}

/** Ids are ours: what cannot be one never comes to the database, which refuses some texts by itself. */
function idOf({ id }: { readonly id: string }): string {
  if (!/^we_[0-9a-f-]{36}$/.test(id)) throw noEndpoint(id)
  return id
}

function numberOf(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw notFound(`There is no delivery ${text.slice(0, 64)}.`)
  return BigInt(text)
}
