/** The callee of the comparison: answers the same order over gRPC and over REST. Listens at its two arguments. */
import { service } from '#graph/service.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { restServer } from '#kit/http/server.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { answered, bodySchema, ordersApi, plain } from './order.ts'

const [, , grpcSocket = '', restSocket = ''] = process.argv
const never = () => Promise.reject(new Error('Only createOrder is measured.'))

const grpcApp = testApp(service('grpc-orders', { exposes: [OrderService] }), {
  listen: { kind: 'unix', path: grpcSocket },
})
const orders = implement(OrderService, {
  createOrder: async (request) => answered(request),
  getOrder: never,
  getOrderDetail: never,
  batchGetOrderDetails: never,
  listRecentOrders: never,
  async *listOrders() {},
  async *streamOrderUpdates() {},
  uploadOrders: never,
  async *processOrders() {},
})
await grpcServer(grpcApp, orders)

const restApp = testApp(service('rest-orders', { exposes: [ordersApi] }), {
  listen: { kind: 'unix', path: restSocket },
})
await restServer(restApp, ordersApi, {
  createOrder: { body: bodySchema, handler: async ({ body }) => ({ status: 201, body: plain(body) }) },
})
