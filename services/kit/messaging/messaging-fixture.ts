/** A system of three services, for the tests of messaging and for the processes that they kill. */

import { create, toBinary } from '@bufbuild/protobuf'
import { queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderCancelledSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import type { IncomingRecord } from '../kafka/port.ts'
import { type Database, statement } from '../store/database.ts'
import { consumer } from './consumer.ts'
import { encodeEnvelope } from './envelope.ts'
import type { MessageMeta } from './handlers.ts'

/** Every effect that took place: twice the same event would be two rows. */
export type EffectTables = { effect: { event_id: string; order_id: string; attempt: number; correlation_id: string } }

export const effectTable = statement(`
  create table if not exists effect (
    number bigint generated always as identity, event_id text, order_id text, attempt integer, correlation_id text)`)

export const orderEvents = topic('orders', {
  carries: [OrderPlacedSchema, OrderConfirmedSchema, OrderCancelledSchema],
  key: 'orderId',
})
export const emails = queue('emails', {
  carries: [SendEmailSchema],
  redelivery: { attempts: 3, backoff: { baseMs: 20, maxMs: 100 } },
})
export const orders = service('orders', { owns: [postgres()], publishes: [orderEvents] })
export const shipping = service('shipping', {
  owns: [postgres()],
  edges: [
    consumes(orderEvents, [OrderPlacedSchema, OrderConfirmedSchema], {
      redelivery: { attempts: 3, backoff: { baseMs: 20, maxMs: 50 } },
    }),
  ],
})
export const notifications = service('notifications', { owns: [postgres()], edges: [sends(emails), works(emails)] })

/** What a test wants done before the effect of an event. */
export type Before = (orderId: string, meta: MessageMeta) => Promise<void> | void

/** A consumer that writes one row for each event; `committed` runs once that is durable. */
export function shippingConsumer(
  database: Database<EffectTables>,
  before: Before,
  committed: Before = () => undefined,
) {
  return consumer(shipping, orderEvents, database, {
    OrderPlaced: async ({ orderId }, tx, meta) => {
      await before(orderId, meta)
      const { id, attempt, correlationId } = meta
      const row = { event_id: id, order_id: orderId, attempt, correlation_id: correlationId }
      await tx.db.insertInto('effect').values(row).execute()
      tx.afterCommit(() => void committed(orderId, meta))
    },
    OrderConfirmed: {
      prepare: async ({ orderId }, meta) => {
        await before(orderId, meta)
        const { id, attempt, correlationId } = meta
        const row = { event_id: id, order_id: orderId, attempt, correlation_id: correlationId }
        return async (tx) => void (await tx.db.insertInto('effect').values(row).execute())
      },
    },
  })
}

/** Records of OrderPlaced as a broker would hand them over, one for each order; the order's id is the event's, too. */
export function recordsOf(orderIds: readonly string[]): readonly IncomingRecord[] {
  return orderIds.map((orderId, index) => {
    const envelope = { id: orderId, type: OrderPlacedSchema.typeName, source: '/services/orders', time: new Date() }
    const rest = { subject: orderId, correlationId: '', dataVersion: '1' }
    return {
      offset: BigInt(index),
      key: orderId,
      value: Buffer.from(toBinary(OrderPlacedSchema, create(OrderPlacedSchema, { orderId }))),
      headers: encodeEnvelope({ ...envelope, ...rest }, 'kafka'),
      timestampMs: Date.now(),
    }
  })
}
