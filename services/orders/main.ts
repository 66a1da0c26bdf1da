/** Orders: takes them, keeps their events as the truth, and follows the checkout to its end. */
import { join } from 'node:path'
import { run } from '#kit/app/lifecycle.ts'
import { every } from '#kit/app/timer.ts'
import { client } from '#kit/grpc/client.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { worker } from '#kit/messaging/worker.ts'
import { openDatabase } from '#kit/store/database.ts'
import { openFeed } from '#kit/store/event-feed.ts'
import { migrate } from '#kit/store/migrations.ts'
import { startProjections } from '#kit/store/projection.ts'
import { metric } from '#kit/telemetry/semantics.ts'
import { gauge } from '#kit/telemetry/telemetry.ts'
import { orderCommands, paymentEvents, productEvents, shipmentEvents, stockEvents } from '#mesh/shop/messages.ts'
import { checkout, orders } from '#mesh/shop.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { type CreateOrderRequest, OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { auditOperation, auditWays } from './audit.ts'
import { processOrders, uploadOrders } from './bulk.ts'
import { cancelOverdue, commands, forgetRequests, productNews, reactions } from './handlers.ts'
import { place } from './place.ts'
import { batchGetOrderDetails, getOrderDetail, listOrders, listRecentOrders, streamOrderUpdates } from './queries.ts'
import { orderDetail, orderList } from './read-models.ts'
import { events, type OrdersTables, oldestOpen } from './store.ts'
import { showOrder } from './view.ts'

const overdueEveryMs = 5_000
const forgetEveryMs = 60_000

await run(orders, async (app) => {
  const database = await app.add('database', openDatabase<OrdersTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))

  const { StockRejected, PaymentCaptured, PaymentDeclined, ShipmentDispatched } = reactions
  const consumers = [
    consumer(orders, stockEvents, database, { StockRejected }),
    consumer(orders, paymentEvents, database, { PaymentCaptured, PaymentDeclined }),
    consumer(orders, shipmentEvents, database, { ShipmentDispatched }),
    consumer(orders, productEvents, database, productNews),
  ]
  const workers = [worker(orders, orderCommands, database, commands)]
  await app.add('messaging', startMessaging(app, { database, consumers, workers }))

  const inventory = client(app, InventoryService)
  const askStock = async (lines: readonly { productId: string; quantity: number }[]) =>
    (await inventory.checkStock({ lines: [...lines] })).lines

  const feed = await app.add('feed', openFeed(app, database, events))
  await app.add('read models', startProjections(app, database, events, [orderList, orderDetail]))
  app.operate('audit', auditOperation(database), auditWays)
  const placeOne = (request: CreateOrderRequest) => place(request, database, askStock)

  const service = implement(OrderService, {
    createOrder: placeOne,
    getOrder: async ({ orderId, asOf }) => ({ order: await showOrder(database, orderId, asOf) }),
    getOrderDetail: ({ orderId }) => getOrderDetail(orderId, database),
    batchGetOrderDetails: (request) => batchGetOrderDetails(request, database),
    listRecentOrders: (request) => listRecentOrders(request, database),
    listOrders: (request) => listOrders(request, database),
    streamOrderUpdates: (request) => streamOrderUpdates(request, feed),
    uploadOrders: (requests) => uploadOrders(requests, placeOne, app.log),
    processOrders: (requests) => processOrders(requests, placeOne, app.log),
  })
  await app.add('grpc', grpcServer(app, service))
  const forget = gauge(metric.sagaAge, 's', async () => {
    const placedAt = await oldestOpen(database.db)
    const value = placedAt ? (Date.now() - placedAt.getTime()) / 1_000 : 0
    return [{ value, attributes: { saga: checkout.name } }]
  })
  await app.add('saga age', { close: async () => forget() })
  await app.add(
    'overdue',
    every(overdueEveryMs, app, () => cancelOverdue(database, new Date(), checkout.timeoutMs, app)),
  )
  await app.add(
    'forgetting',
    every(forgetEveryMs, app, () => forgetRequests(database, new Date())),
  )
})
