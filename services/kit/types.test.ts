/**
 * What must not compile, compiled: each line under `@ts-expect-error` is an error of the compiler's, and the type check of
 * the project fails when one of them is none any more. Nothing here runs.
 */
import { expect, test } from '@jest/globals'
import { graphql, rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { external, reaches } from '#graph/external.ts'
import { asks, queue, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { Health } from '#proto/grpc/health/v1/health_pb.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema, OrderShippedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { QuoteRequestSchema, QuoteSchema } from '#proto/parley/shipping/v1/quotes_pb.ts'
import type { App } from './app/lifecycle.ts'
import { graphqlServer } from './graphql/server.ts'
import { client } from './grpc/client.ts'
import { implement } from './grpc/implementation.ts'
import { grpcServer } from './grpc/server.ts'
import { reach, restClient } from './http/client.ts'
import { restServer } from './http/server.ts'
import { answerer } from './messaging/answerer.ts'
import { openAsker } from './messaging/asker.ts'
import { worker } from './messaging/worker.ts'
import type { Database } from './store/database.ts'
import { type Input, input } from './streaming/stream.ts'
import { deliverWebhooks } from './webhooks/deliverer.ts'
import { targetPolicy } from './webhooks/target.ts'

const api = rest('shop-api', { place: 'POST /orders', show: 'GET /orders/{id}' })
const other = rest('other-api', { list: 'GET /others' })
const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 300,
  routes: { charge: 'PUT /charges/{id}' },
})
const post = external('post', {
  host: 'post.example',
  port: 443,
  expectedLatencyMs: 300,
  routes: { send: 'POST /letters' },
})
const emails = queue('emails', { carries: [SendEmailSchema] })
const quotes = queue('quotes', { carries: [QuoteRequestSchema], replies: QuoteSchema })
const gateway = service('gateway', {
  exposes: [api],
  edges: [
    calls(OrderService, ['getOrder']),
    calls(other, ['list']),
    calls(Health, ['watch']),
    reaches(bank),
    asks(quotes, { deadlineMs: 100 }),
  ],
})
const shipping = service('shipping', { owns: [postgres()], edges: [works(quotes)] })
const orders = service('orders', { exposes: [OrderService, InventoryService] })

const letters = topic('letters', { carries: [SendEmailSchema], key: 'emailId' })
const hooks = webhook('hooks', letters, [SendEmailSchema])
const otherHooks = webhook('other-hooks', letters, [SendEmailSchema])
const teller = service('teller', { edges: [delivers(hooks)] })
const orderEvents = topic('orders', { carries: [OrderPlacedSchema, OrderShippedSchema], key: 'orderId' })
const others = topic('others', { carries: [OrderPlacedSchema], key: 'orderId' })
const tally = service('tally', { owns: [postgres()], edges: [consumes(orderEvents, [OrderPlacedSchema])] })

declare const app: App<typeof gateway>
declare const tellerApp: App<typeof teller>
declare const ordersApp: App<typeof orders>
declare const database: Database<object>
const order = {
  createOrder: async () => ({}),
  getOrder: async () => ({ order: { orderId: 'o-1' } }),
  getOrderDetail: async () => ({}),
  batchGetOrderDetails: async () => ({}),
  listRecentOrders: async () => ({}),
  listOrders: async function* () {},
  streamOrderUpdates: async function* () {},
  uploadOrders: async () => ({}),
  processOrders: async function* () {},
}
const stock = implement(InventoryService, { checkStock: async () => ({}) })

function neverRun() {
  const placed = (seen: number | undefined, { orderId }: { orderId: string }) => ({
    state: (seen ?? 0) + orderId.length,
  })
  const uncounted = () => ({ counts: { revenue: 1.5 } })
  const inputs: Input<number>[] = [input(tally, orderEvents, { OrderPlaced: placed })]
  // @ts-expect-error: an event that was declared has no reaction
  inputs.push(input(tally, orderEvents, {}))
  // @ts-expect-error: an event that was not declared has one
  inputs.push(input(tally, orderEvents, { OrderPlaced: placed, OrderShipped: placed }))
  // @ts-expect-error: a topic that was not declared
  inputs.push(input(tally, others, { OrderPlaced: placed }))
  // @ts-expect-error: counts are whole numbers of any size, never floats
  inputs.push(input(tally, orderEvents, { OrderPlaced: uncounted }))
  const calling = client(app, OrderService)
  calling.getOrder({ orderId: 'o-1' }).then(({ order }) => order?.placedAt)
  // @ts-expect-error: the method exists, but this service did not declare to call it
  calling.createOrder({})
  // @ts-expect-error: no such field in the request
  calling.getOrder({ orderName: 'o-1' })
  // @ts-expect-error: the field is a string
  calling.getOrder({ orderId: 1 })
  // @ts-expect-error: no such field in the answer
  calling.getOrder({}).then((answer) => answer.orderName)
  // @ts-expect-error: this service did not declare to call inventory
  client(app, InventoryService)
  // @ts-expect-error: a REST interface has no gRPC client
  client(app, other)
  // @ts-expect-error: an answer that streams is no promise
  client(app, Health).watch({}).then

  // @ts-expect-error: this service did not declare to call its own interface
  restClient(app, api)
  restClient(app, other).list({})
  // @ts-expect-error: no such route
  restClient(app, other).show({})
  reach(app, bank).charge({ params: { id: 'p-1' } })
  // @ts-expect-error: the path needs its parameter
  reach(app, bank).charge({})
  // @ts-expect-error: the path has no such parameter
  reach(app, bank).charge({ params: { name: 'p-1' } })
  // @ts-expect-error: this service did not declare to reach the post
  reach(app, post)

  // @ts-expect-error: a method without a handler
  implement(OrderService, { createOrder: order.createOrder })
  // @ts-expect-error: a handler of no method
  implement(OrderService, { ...order, refund: async () => ({}) })
  // @ts-expect-error: no such field in the answer
  implement(OrderService, { ...order, getOrder: async () => ({ order: { orderId: 1 } }) })
  grpcServer(ordersApp, implement(OrderService, order), stock)
  // @ts-expect-error: an exposed interface is not implemented
  grpcServer(ordersApp, implement(OrderService, order))
  // @ts-expect-error: an interface that is not exposed
  grpcServer(app, stock)

  openAsker(app, quotes).ask(QuoteRequestSchema, { country: 'DE' })
  // @ts-expect-error: this service did not declare to ask it
  openAsker(ordersApp, quotes)
  // @ts-expect-error: nobody answers what is put into a queue of tasks
  openAsker(app, emails)
  // @ts-expect-error: the queue carries no such question
  openAsker(app, quotes).ask(SendEmailSchema, {})
  answerer(shipping, quotes, database, { QuoteRequest: { prepare: async ({ country }) => ({ country }) } })
  // @ts-expect-error: a question without an answer
  answerer(shipping, quotes, database, { QuoteRequest: { prepare: async () => undefined } })
  // @ts-expect-error: no such field in the answer
  answerer(shipping, quotes, database, { QuoteRequest: async () => ({ postage: 1 }) })
  // @ts-expect-error: a queue with replies is answered, not merely worked
  worker(shipping, quotes, database, { QuoteRequest: async () => undefined })

  deliverWebhooks(tellerApp, hooks, database, { policy: targetPolicy() })
  // @ts-expect-error: webhooks that this service did not declare to deliver
  deliverWebhooks(tellerApp, otherHooks, database, { policy: targetPolicy() })
  // @ts-expect-error: this service delivers none
  deliverWebhooks(app, hooks, database, { policy: targetPolicy() })

  const show = { handler: async () => ({ status: 200 }) }
  restServer(app, api, {
    place: {
      body: { type: 'object', required: ['customerId'], properties: { customerId: { type: 'string' } } },
      // @ts-expect-error: no such field in the schema
      handler: async ({ body }) => ({ status: 201, body: body.customerName }),
    },
    // @ts-expect-error: the path has no such parameter
    show: { handler: async ({ params }) => ({ status: 200, body: params.name }) },
  })
  // @ts-expect-error: a route without a handler
  restServer(app, api, { show })
  // @ts-expect-error: a handler of no route
  restServer(app, api, { show, place: show, list: show })
  // @ts-expect-error: an interface that is not exposed
  restServer(app, other, { list: show })

  const answers = { schema: '', resolvers: {}, context: () => ({}), operations: [] }
  // @ts-expect-error: an interface that is not exposed
  graphqlServer(app, graphql('pages'), answers)
  const pages = graphql('pages')
  const front = service('front', { exposes: [pages] })
  graphqlServer({} as App<typeof front>, pages, answers)
  // @ts-expect-error: an interface that is not exposed
  graphqlServer({} as App<typeof front>, graphql('others'), answers)
}

test('what is not declared does not compile', () => {
  // The compiler is the test. This line keeps the file from being empty for the runner.
  expect(typeof neverRun).toBe('function')
})
