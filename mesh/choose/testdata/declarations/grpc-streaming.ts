import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'

const orders = service('orders', { exposes: [OrderService] })

// Streams have an edge of their own: their deadline is how long one may live, and idleMs how long it may be silent. They
// are not retried: the reader goes on after the last message that it has.
const dashboard = service('dashboard', {
  edges: [
    calls(OrderService, ['streamOrderUpdates'], {
      deadlineMs: 900_000,
      idleMs: 60_000,
      limits: { concurrentMax: 20, pendingMax: 5 },
    }),
  ],
})

export const example = system('example', { services: [dashboard, orders] })
