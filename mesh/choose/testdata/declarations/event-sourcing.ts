import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import {
  OrderCancelledSchema as OrderCancelled,
  OrderConfirmedSchema as OrderConfirmed,
  OrderPlacedSchema as OrderPlaced,
} from '#proto/parley/orders/v1/events_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'

const orderEvents = topic('orders', { carries: [OrderPlaced, OrderConfirmed, OrderCancelled], key: 'orderId' })

// The store holds the events, appended with an expected version; the topic tells others of them.
const orders = service('orders', { exposes: [OrderService], owns: [postgres()], publishes: [orderEvents] })

// A read model apart: built from the events, and built again whenever its shape changes.
const orderList = service('order-list', {
  owns: [postgres()],
  edges: [consumes(orderEvents, [OrderPlaced, OrderConfirmed, OrderCancelled], { replayable: true })],
})

export const example = system('example', { services: [orders, orderList] })
