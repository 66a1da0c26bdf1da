/**
 * What must not compile. Every line below an `@ts-expect-error` is an error today; the type check fails as soon as one
 * of them becomes legal. The runtime assertions only give the compiler a program to look at.
 */
import { describe, expect, test } from '@jest/globals'
import { StockRejectedSchema, StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { PaymentCapturedSchema } from '#proto/parley/payments/v1/events_pb.ts'
import { rest } from './api.ts'
import { calls } from './call.ts'
import { exposure } from './exposure.ts'
import { asks, queue } from './queue.ts'
import type { CalledMethod, ConsumedMessage } from './service.ts'
import { service } from './service.ts'
import { consumes, topic } from './topic.ts'
import { webhook } from './webhook.ts'

const stock = topic('stock', { carries: [StockReservedSchema, StockRejectedSchema], key: 'orderId' })

describe('a wrong declaration does not compile', () => {
  test('a method that the interface lacks', () => {
    // @ts-expect-error OrderService has no method deleteOrder.
    expect(calls(OrderService, ['deleteOrder']).methods).toEqual(['deleteOrder'])
    // @ts-expect-error checkStock is another service's method.
    expect(calls(OrderService, ['checkStock']).methods).toHaveLength(1)
    const api = rest('words', { greeting: 'GET /greetings/{language}' })
    // @ts-expect-error The interface has no such route.
    expect(calls(api, ['farewell']).methods).toHaveLength(1)
    // @ts-expect-error A route begins with a verb.
    expect(rest('wrong', { greeting: '/greetings' }).kind).toBe('rest')
  })

  test('a way in to a method that the interface lacks', () => {
    const orders = service('orders', { exposes: [OrderService] })
    // @ts-expect-error OrderService has no method deleteOrder.
    expect(exposure('front', orders, OrderService, { methods: ['deleteOrder'] }).methods).toEqual([])
    const open = exposure('front', orders, OrderService, { methods: ['streamOrderUpdates', 'getOrder'] })
    expect(open.methods).toEqual(['getOrder', 'streamOrderUpdates'])
    expect(exposure('front', orders, OrderService).methods).toContain('createOrder')
  })

  test('an event that the topic does not carry', () => {
    // @ts-expect-error PaymentCaptured is not carried by stock.
    expect(consumes(stock, [PaymentCapturedSchema]).messages).toHaveLength(1)
    // @ts-expect-error Nor can it be delivered from there.
    expect(webhook('hooks', stock, [PaymentCapturedSchema]).messages).toHaveLength(1)
  })

  test('a key that is no string field of every event', () => {
    // @ts-expect-error No such field.
    expect(topic('a', { carries: [StockReservedSchema], key: 'nobody' }).key).toBe('nobody')
    // @ts-expect-error StockRejected has no customerId.
    expect(topic('b', { carries: [StockReservedSchema, StockRejectedSchema], key: 'customerId' }).key).toBe(
      'customerId',
    )
    // @ts-expect-error The total is no string.
    expect(topic('c', { carries: [OrderPlacedSchema], key: 'total' }).key).toBe('total')
  })

  test('asking a queue that does not answer', () => {
    const tasks = queue('tasks', { carries: [StockReservedSchema] })
    // @ts-expect-error A queue of tasks has no replies.
    expect(asks(tasks, { deadlineMs: 100 }).kind).toBe('asks')
    const quotes = queue('quotes', { carries: [StockReservedSchema], replies: StockRejectedSchema })
    expect(asks(quotes, { deadlineMs: 100 }).kind).toBe('asks')
  })
})

describe('what the kit reads off a service', () => {
  const shipping = service('shipping', {
    edges: [calls(InventoryService, ['checkStock']), consumes(stock, [StockReservedSchema])],
  })

  test('only the declared methods and events', () => {
    const declared: CalledMethod<typeof shipping, typeof InventoryService> = 'checkStock'
    // @ts-expect-error No call to orders is declared.
    const undeclared: CalledMethod<typeof shipping, typeof OrderService> = 'createOrder'
    const message: ConsumedMessage<typeof shipping, typeof stock> = StockReservedSchema
    // @ts-expect-error StockRejected is carried, but not consumed by this service.
    const skipped: ConsumedMessage<typeof shipping, typeof stock> = StockRejectedSchema
    expect([declared, undeclared, message.typeName, skipped.typeName]).toHaveLength(4)
  })
})
