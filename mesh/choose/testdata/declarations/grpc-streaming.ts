import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'

const orders = service('orders', { exposes: [OrderService] })

// A streaming method is named like any other: rpc StreamOrders(…) returns (stream Order). Its deadline bounds the
// whole stream, and it is not retried: the reader resumes from the last message that it has.
const dashboard = service('dashboard', {
  edges: [calls(OrderService, ['getOrder'], { deadlineMs: 60_000, limits: { concurrentMax: 20, pendingMax: 5 } })],
})

export const example = system('example', { services: [dashboard, orders] })
