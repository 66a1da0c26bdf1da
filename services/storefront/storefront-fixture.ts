/** The storefront before real orders, catalogue and Postgres in one process; what they are asked is counted where it arrives. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { socketFolder, type TestApp, testApp } from '#kit/app/app-fixture.ts'
import { client } from '#kit/grpc/client.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { restClient } from '#kit/http/client.ts'
import { restServer } from '#kit/http/server.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { openFeed } from '#kit/store/event-feed.ts'
import { migrate } from '#kit/store/migrations.ts'
import type { PostgresFixture } from '#kit/store/postgres-fixture.ts'
import { startProjections } from '#kit/store/projection.ts'
import { catalogApi } from '#mesh/shop/interfaces.ts'
import { catalog, orders, storefront } from '#mesh/shop.ts'
import { LineAvailabilitySchema } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { listProducts } from '../catalog/handlers.ts'
import type { CatalogTables } from '../catalog/store.ts'
import { place } from '../orders/place.ts'
import { batchGetOrderDetails, listRecentOrders, streamOrderUpdates } from '../orders/queries.ts'
import { orderDetail, orderList } from '../orders/read-models.ts'
import { events, type OrdersTables } from '../orders/store.ts'
import { showOrder } from '../orders/view.ts'
import { storefrontServer } from './server.ts'
import type { StorefrontTables } from './store.ts'

/** Everything that the storefront stands on, each to be stopped on its own. */
export type Backends = {
  readonly socketPath: string
  /** What was asked of orders and the catalogue, one entry a call. */
  readonly asked: string[]
  readonly orders: TestApp<typeof orders>
  readonly catalog: TestApp<typeof catalog>
  readonly storefront: TestApp<typeof storefront>
  readonly ordersDatabase: Database<OrdersTables>
  readonly database: Database<StorefrontTables>
  /** How many follow orders' events. */
  followers(): number
  /** Places an order and gives its id. */
  place(customerId: string, productIds: readonly string[]): Promise<string>
  /** Resolves when the read models know all orders. */
  caughtUp(): Promise<void>
  stop(): Promise<void>
}

const migrationsOf = (service: string) => join(import.meta.dirname, '..', service, 'migrations')

/** Starts all of it. `name` is new for each test. */
export async function startBackends(
  server: PostgresFixture,
  name: string,
  environment = 'production',
): Promise<Backends> {
  const sockets = socketFolder()
  const asked: string[] = []
  const selling = await startOrders(testApp(orders, at(server, sockets, `orders-${name}`)), asked)
  const showing = testApp(catalog, at(server, sockets, `catalog-${name}`))
  await startCatalog(showing, asked)
  const app = testApp(storefront, {
    ...at(server, sockets, `storefront-${name}`),
    environment,
    calls: {
      [OrderService.typeName]: { callee: 'orders', address: sockets.at(`orders-${name}`) },
      [catalogApi.name]: { callee: 'catalog', address: sockets.at(`catalog-${name}`) },
    },
  })
  const database = await app.add('database', openDatabase<StorefrontTables>(app))
  await migrate(database, migrationsOf('storefront'))
  const sources = { orders: client(app, OrderService), catalog: restClient(app, catalogApi), database }
  await app.add('graphql', storefrontServer(app, sources))
  return {
    ...selling,
    socketPath: sockets.at(`storefront-${name}`).path,
    asked,
    catalog: showing,
    storefront: app,
    database,
    async stop() {
      for (const each of [app, showing, selling.orders]) if (!each.stopping.aborted) await each.stop()
      sockets.remove()
    },
  }
}

function at(server: PostgresFixture, sockets: ReturnType<typeof socketFolder>, name: string) {
  return { listen: sockets.at(name), postgres: server.create(name) }
}

async function startOrders(app: TestApp<typeof orders>, asked: string[]) {
  const database = await app.add('database', openDatabase<OrdersTables>(app))
  await migrate(database, migrationsOf('orders'))
  const live = openFeed(app, database, events)
  await app.add('feed', live)
  const readModels = await app.add('read models', startProjections(app, database, events, [orderList, orderDetail]))
  const inStock = async (lines: readonly { productId: string }[]) =>
    lines.map(({ productId }) => create(LineAvailabilitySchema, { productId, known: true, sufficient: true }))
  const counted =
    <Request, Answer>(name: string, answer: (request: Request) => Answer) =>
    (request: Request) => {
      asked.push(name)
      return answer(request)
    }
  const unused = async () => ({})
  const service = implement(OrderService, {
    createOrder: unused,
    getOrder: counted('getOrder', async ({ orderId }) => ({ order: await showOrder(database, orderId) })),
    getOrderDetail: unused,
    batchGetOrderDetails: counted('batchGetOrderDetails', (request) => batchGetOrderDetails(request, database)),
    listRecentOrders: counted('listRecentOrders', (request) => listRecentOrders(request, database)),
    async *listOrders() {},
    streamOrderUpdates: counted('streamOrderUpdates', (request) => streamOrderUpdates(request, live)),
    uploadOrders: unused,
    async *processOrders() {},
  })
  await app.add('grpc', grpcServer(app, service))
  return {
    orders: app,
    ordersDatabase: database,
    followers: () => live.followers(),
    caughtUp: () => readModels.caughtUp(),
    async place(customerId: string, productIds: readonly string[]): Promise<string> {
      const lines = productIds.map((productId) => ({ productId, quantity: 1 }))
      const request = { customerId, lines, idempotencyKey: randomUUID() }
      const { order } = await place(create(OrderService.method.createOrder.input, request), database, inStock)
      return order?.orderId ?? ''
    },
  }
}

async function startCatalog(app: TestApp<typeof catalog>, asked: string[]): Promise<void> {
  const database = await app.add('database', openDatabase<CatalogTables>(app))
  await migrate(database, migrationsOf('catalog'))
  const unused = { handler: async () => ({ status: 404 }) }
  const list = {
    handler: async ({ query }: { query: Parameters<typeof listProducts>[0] }) => {
      asked.push('listProducts')
      return listProducts(query, database)
    },
  }
  await app.add('rest', restServer(app, catalogApi, { listProducts: list, getProduct: unused, putProduct: unused }))
}
