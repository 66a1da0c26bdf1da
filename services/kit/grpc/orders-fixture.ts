import type { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import type { Handlers } from './implementation.ts'

/** Answers every method of orders with nothing; a test puts its own in place of those that it is about. */
export const silentOrders: Handlers<typeof OrderService> = {
  createOrder: async () => ({}),
  getOrder: async () => ({}),
  getOrderDetail: async () => ({}),
  batchGetOrderDetails: async () => ({}),
  listRecentOrders: async () => ({}),
  listOrders: async function* () {},
  streamOrderUpdates: async function* () {},
  uploadOrders: async () => ({}),
  processOrders: async function* () {},
}
