import { choreography, step } from '#graph/saga.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import {
  StockRejectedSchema as StockRejected,
  StockReservedSchema as StockReserved,
} from '#proto/parley/inventory/v1/events_pb.ts'
import {
  OrderCancelledSchema as OrderCancelled,
  OrderConfirmedSchema as OrderConfirmed,
  OrderPlacedSchema as OrderPlaced,
} from '#proto/parley/orders/v1/events_pb.ts'

const orderEvents = topic('orders', { carries: [OrderPlaced, OrderConfirmed, OrderCancelled], key: 'orderId' })
const stockEvents = topic('stock', { carries: [StockReserved, StockRejected], key: 'orderId' })

const orders = service('orders', {
  owns: [postgres()],
  publishes: [orderEvents],
  edges: [consumes(stockEvents, [StockReserved, StockRejected])],
})
const inventory = service('inventory', {
  owns: [postgres()],
  publishes: [stockEvents],
  edges: [consumes(orderEvents, [OrderPlaced])],
})

const checkout = choreography('checkout', {
  steps: [
    step('place', orders, { emits: OrderPlaced, compensation: { on: StockRejected, emits: OrderCancelled } }),
    step('reserve', inventory, { on: OrderPlaced, emits: StockReserved, refuses: StockRejected }),
    step('confirm', orders, { on: StockReserved, emits: OrderConfirmed }),
  ],
  pointOfNoReturn: 'reserve',
  timeoutMs: 60_000,
})

export const example = system('example', { services: [orders, inventory], sagas: [checkout] })
