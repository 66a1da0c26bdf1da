import { create } from '@bufbuild/protobuf'
import { expect, test } from '@jest/globals'
import type { EventFeed, Followed } from '#kit/store/event-feed.ts'
import { UnknownEvent } from '#kit/store/event-store.ts'
import { OrderConfirmedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderStatus, StreamOrderUpdatesRequestSchema } from '#proto/parley/orders/v1/orders_pb.ts'
import type { OrderEvent } from './order.ts'
import { streamOrderUpdates } from './queries.ts'

const about = { version: 2, type: 'a type', at: new Date(0), correlationId: 'c' }

function heard(number: number, message: () => OrderEvent): Followed<OrderEvent> {
  const position = `1:${number}`
  const event = { ...about, position, streamId: `o-${number}` }
  return { kind: 'event', position, event: Object.defineProperty(event, 'message', { get: message }) as never }
}

test('an event that a newer version wrote is told without what it means, and the stream goes on', async () => {
  const unknown = () => {
    throw new UnknownEvent('parley.orders.v2.OrderPraised')
  }
  const events = [heard(1, unknown), heard(2, () => create(OrderConfirmedSchema, { orderId: 'o-2' }))]
  const feed: Pick<EventFeed<OrderEvent>, 'follow'> = {
    async *follow() {
      yield* events
    },
  }
  const told: object[] = []
  for await (const one of streamOrderUpdates(create(StreamOrderUpdatesRequestSchema), feed)) told.push(one)
  expect(told).toMatchObject([
    { position: '1:1', update: { orderId: 'o-1', version: 2n, status: OrderStatus.UNSPECIFIED, note: '' } },
    { position: '1:2', update: { orderId: 'o-2', status: OrderStatus.CONFIRMED } },
  ])
})
