import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import {
  OrderConfirmedSchema as OrderConfirmed,
  OrderPlacedSchema as OrderPlaced,
} from '#proto/parley/orders/v1/events_pb.ts'

const orderEvents = topic('orders', { carries: [OrderPlaced, OrderConfirmed], key: 'orderId' })

const orders = service('orders', { owns: [postgres()], publishes: [orderEvents] })
const shipping = service('shipping', { owns: [postgres()], edges: [consumes(orderEvents, [OrderConfirmed])] })
const loyalty = service('loyalty', { owns: [postgres()], edges: [consumes(orderEvents, [OrderPlaced])] })

export const example = system('example', { services: [orders, shipping, loyalty] })
