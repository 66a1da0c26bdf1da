/**
 * What a service's code may say about messages. Every line below an `@ts-expect-error` is an error today; the type check
 * fails as soon as one of them becomes legal.
 */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderCancelledSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { PaymentCapturedSchema } from '#proto/parley/payments/v1/events_pb.ts'
import { ShipmentDispatchedSchema } from '#proto/parley/shipping/v1/events_pb.ts'
import type { AnyTx, Database } from '../store/database.ts'
import { consumer } from './consumer.ts'
import { deadLetterHeaders, withinLimit } from './dead-letter.ts'
import { decodeEnvelope, encodeEnvelope } from './envelope.ts'
import { handlersByType, type MessageMeta, readMessage } from './handlers.ts'
import type { OutboxRow } from './outbox.ts'
import { publisher, sender } from './publisher.ts'
import { worker } from './worker.ts'

type Tables = { parcel: { order_id: string } }

const orderEvents = topic('orders', { carries: [OrderPlacedSchema, OrderConfirmedSchema], key: 'orderId' })
const paymentEvents = topic('payments', { carries: [PaymentCapturedSchema], key: 'orderId' })
const news = topic('news', { carries: [OrderCancelledSchema], key: null })
const emails = queue('emails', { carries: [SendEmailSchema] })
const orders = service('orders', { owns: [postgres()], publishes: [orderEvents, news], edges: [sends(emails)] })
const shipping = service('shipping', {
  owns: [postgres()],
  edges: [consumes(orderEvents, [OrderPlacedSchema]), works(emails)],
})
const database = {} as Database<Tables>

/** A transaction that keeps what would be written. */
function recordingTx() {
  const last: (() => readonly unknown[])[] = []
  const tx = {
    at: new Date('2026-01-01T00:00:00Z'),
    lastly: (_statement: unknown, values: () => readonly unknown[]) => void last.push(values),
    afterCommit: () => undefined,
  } as unknown as AnyTx
  const rows = async (): Promise<Partial<OutboxRow>[]> => {
    const [kinds, destinations, ids, keys, headers] = (last[0]?.() ?? []) as string[][]
    return (kinds ?? []).map((kind, index) => ({
      kind: kind as OutboxRow['kind'],
      destination: destinations?.[index] ?? '',
      id: ids?.[index] ?? '',
      key: keys?.[index] ?? '',
      headers: JSON.parse(headers?.[index] ?? '{}') as OutboxRow['headers'],
    }))
  }
  return { tx, rows }
}

describe('publishing', () => {
  test('takes the key from the topic’s field, and writes all rows at once, in order', async () => {
    const { tx, rows } = recordingTx()
    const publish = publisher(orders, orderEvents)
    const id = publish(tx, OrderPlacedSchema, { orderId: 'o-1' })
    publish(tx, OrderConfirmedSchema, { orderId: 'o-2' }, { id: 'mine' })
    sender(orders, emails)(tx, SendEmailSchema, { emailId: 'e-1' })
    expect(await rows()).toMatchObject([
      { kind: 'topic', destination: 'orders', id, key: 'o-1' },
      { kind: 'topic', destination: 'orders', id: 'mine', key: 'o-2' },
      { kind: 'queue', destination: 'emails', key: '' },
    ])
  })

  test('spreads events of a topic without a key', async () => {
    const { tx, rows } = recordingTx()
    const id = publisher(orders, news)(tx, OrderCancelledSchema, { orderId: 'o-1' })
    expect(await rows()).toMatchObject([{ id, key: id }])
  })

  test('refuses an empty key, a key that no header can hold, and what no broker would take', () => {
    const { tx } = recordingTx()
    const publish = publisher(orders, orderEvents)
    expect(() => publish(tx, OrderPlacedSchema, {})).toThrow('has no orderId')
    expect(() => publish(tx, OrderPlacedSchema, { orderId: 'a\nb' })).toThrow('ce_subject')
    expect(() => publish(tx, OrderPlacedSchema, { orderId: 'o', customerId: 'x'.repeat(900_000) })).toThrow('bytes')
  })
})

describe('reading a message', () => {
  const byType = handlersByType([OrderPlacedSchema], { OrderPlaced: async () => undefined })
  const envelopeOf = (type: string) =>
    decodeEnvelope(
      encodeEnvelope(
        { id: '1', type, source: '/x', time: new Date(), subject: '', correlationId: '', dataVersion: '1' },
        'kafka',
      ),
      'kafka',
    )

  test('skips what was not declared, and never throws over a payload', () => {
    expect(readMessage(envelopeOf('some.other.Event'), Buffer.of(255), byType)).toEqual({ ok: true, value: undefined })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (payload) => {
        const read = readMessage(envelopeOf(OrderPlacedSchema.typeName), payload, byType)
        if (!read.ok) expect(read.code).toBe('PAYLOAD_MALFORMED')
      }),
    )
    expect(readMessage(envelopeOf(OrderPlacedSchema.typeName), Buffer.of(255), byType).ok).toBe(false)
  })
})

test('what a handler ignores has no effect by any way, and what it does not ignore has', async () => {
  const handled: string[] = []
  const ignores = ({ orderId }: { orderId: string }) => orderId === 'led'
  const handle = async ({ orderId }: { orderId: string }) => void handled.push(orderId)
  const prepare = async ({ orderId }: { orderId: string }) => void handled.push(`prepared ${orderId}`)
  const byType = handlersByType([OrderPlacedSchema, OrderConfirmedSchema], {
    OrderPlaced: { ignores, handle },
    OrderConfirmed: { ignores, prepare },
  })
  for (const { effect, prepare, ignores } of byType.values()) {
    for (const orderId of ['led', 'ours']) {
      await effect?.({ orderId }, {} as AnyTx, {} as MessageMeta)
      await prepare?.({ orderId }, {} as MessageMeta)
    }
    expect(['led', 'ours'].map((orderId) => ignores?.({ orderId }))).toEqual([true, false])
  }
  expect(handled).toEqual(['ours', 'prepared ours'])
})

test('a dead letter that would be too large keeps its reason and says where the rest lies', () => {
  const origin = { consumer: 'shipping', destination: 'orders', eventId: 'e', partition: 2, offset: 7n }
  const reason = { code: 'PERMANENT', message: 'x'.repeat(5_000), exception: 'Error', attempts: 1 } as const
  const headers = deadLetterHeaders({ ce_id: 'e' }, origin, reason, new Date(0))
  expect(headers['dead-letter-reason']).toHaveLength(1_000)
  expect(withinLimit(headers, Buffer.alloc(10)).payload).toHaveLength(10)
  const cut = withinLimit(headers, Buffer.alloc(900_000))
  expect(cut.payload).toHaveLength(0)
  expect(cut.headers).toMatchObject({ 'dead-letter-offset': '7', 'dead-letter-partition': '2' })
})

describe('what does not compile', () => {
  const { tx } = recordingTx()
  test('publishing', () => {
    const publish = publisher(orders, orderEvents)
    // @ts-expect-error The topic is not owned by orders.
    expect(() => publisher(orders, paymentEvents)).not.toThrow()
    // @ts-expect-error Shipping publishes nothing.
    expect(() => publisher(shipping, orderEvents)).not.toThrow()
    // @ts-expect-error The topic does not carry this event.
    expect(() => publish(tx, PaymentCapturedSchema, { orderId: 'o' })).not.toThrow()
    // @ts-expect-error The payload has no such field.
    expect(() => publish(tx, OrderPlacedSchema, { orderId: 'o', wrong: 1 })).not.toThrow()
    // @ts-expect-error The field is a string.
    expect(() => publish(tx, OrderPlacedSchema, { orderId: 7 })).toThrow('no orderId')
    // @ts-expect-error The key is no field of every event.
    expect(topic('x', { carries: [OrderPlacedSchema, ShipmentDispatchedSchema], key: 'shipmentId' }).name).toBe('x')
    // @ts-expect-error Shipping sends nothing.
    expect(() => sender(shipping, emails)).not.toThrow()
  })

  test('consuming', () => {
    const handle = async () => undefined
    expect(
      consumer(shipping, orderEvents, database, {
        OrderPlaced: async (event, { db }) => {
          const id: string = event.orderId
          await db.insertInto('parcel').values({ order_id: id }).execute()
          // @ts-expect-error The service has no such table.
          db.selectFrom('orders')
          // @ts-expect-error The event has no such field.
          event.shipmentId
        },
      }).topic,
    ).toBe(orderEvents)
    // @ts-expect-error The topic is not consumed by shipping.
    expect(() => consumer(shipping, paymentEvents, database, {})).not.toThrow()
    // @ts-expect-error A declared event has no handler.
    expect(() => consumer(shipping, orderEvents, database, {})).toThrow('OrderPlaced')
    // @ts-expect-error This event of the topic was not declared.
    consumer(shipping, orderEvents, database, { OrderPlaced: handle, OrderConfirmed: handle })
    // @ts-expect-error Orders works no queue.
    expect(() => worker(orders, emails, database, { SendEmail: handle })).not.toThrow()
    // @ts-expect-error The queue carries no such task.
    expect(() => worker(shipping, emails, database, { SendEmail: handle, SendFax: handle })).not.toThrow()
  })

  test('preparing', () => {
    const prepared = consumer(shipping, orderEvents, database, {
      OrderPlaced: {
        prepare: async (event, meta) => {
          const id: string = event.orderId + meta.id
          return async ({ db }) => void (await db.insertInto('parcel').values({ order_id: id }).execute())
        },
      },
    })
    expect(prepared.handlers.size).toBe(1)
  })
})
