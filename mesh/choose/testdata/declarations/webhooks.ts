import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { OrderShippedSchema as OrderShipped } from '#proto/parley/orders/v1/events_pb.ts'

const orderEvents = topic('orders', { carries: [OrderShipped], key: 'orderId' })
const orderHooks = webhook('order-hooks', orderEvents, [OrderShipped], { timeoutMs: 10_000, attempts: 12 })

const orders = service('orders', { owns: [postgres()], publishes: [orderEvents] })

// Who delivers an event also consumes it. Subscribers give their addresses at run time.
const webhooks = service('webhooks', {
  owns: [postgres()],
  edges: [consumes(orderEvents, [OrderShipped]), delivers(orderHooks)],
})

export const example = system('example', { services: [orders, webhooks] })
