import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { socketFolder, type TestApp, testApp } from '#kit/app/app-fixture.ts'
import { withDeadline } from '#kit/deadline.ts'
import { client } from '#kit/grpc/client.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { openFeed } from '#kit/store/event-feed.ts'
import { eventStore } from '#kit/store/event-store.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { type Projections, startProjections } from '#kit/store/projection.ts'
import { silentLog } from '#kit/telemetry/log.ts'
import { until } from '#kit/until-fixture.ts'
import { orders } from '#mesh/shop.ts'
import { LineAvailabilitySchema } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderAcceptedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderService, OrderStatus, type StreamOrderUpdatesResponse } from '#proto/parley/orders/v1/orders_pb.ts'
import { auditOperation } from './audit.ts'
import { processOrders, uploadOrders } from './bulk.ts'
import { place } from './place.ts'
import { batchGetOrderDetails, getOrderDetail, listOrders, listRecentOrders, streamOrderUpdates } from './queries.ts'
import { orderDetail, orderList } from './read-models.ts'
import { command, events, type OrdersTables } from './store.ts'
import { showOrder } from './view.ts'

const caller = service('caller', {
  edges: [
    calls(
      OrderService,
      [
        'createOrder',
        'getOrder',
        'getOrderDetail',
        'batchGetOrderDetails',
        'listRecentOrders',
        'listOrders',
        'streamOrderUpdates',
        'uploadOrders',
        'processOrders',
      ],
      { deadlineMs: 20_000 },
    ),
  ],
})

let server: PostgresFixture
let database: Database<OrdersTables>
let readModels: Projections
let app: TestApp<typeof orders>
let feed: ReturnType<typeof openFeed>
let calling: ReturnType<typeof callOrders>
let sequence = 0
const sockets = socketFolder()

function callOrders(address: ReturnType<typeof sockets.at>) {
  return client(testApp(caller, { calls: { [OrderService.typeName]: { callee: 'orders', address } } }), OrderService)
}

beforeAll(async () => {
  server = await startPostgres()
}, 60_000)

beforeEach(async () => {
  const address = sockets.at(`o${++sequence}`)
  app = testApp(orders, { listen: address, postgres: server.create(`orders_${sequence}`) })
  database = await app.add('database', openDatabase<OrdersTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  const live = openFeed(app, database, events, { aliveEveryMs: 200 })
  feed = await app.add('feed', live)
  readModels = await app.add('read models', startProjections(app, database, events, [orderList, orderDetail]))
  const placeOne = (request: Parameters<typeof place>[0]) =>
    place(request, database, async (lines) =>
      lines.map(({ productId }) => create(LineAvailabilitySchema, { productId, known: true, sufficient: true })),
    )
  const service = implement(OrderService, {
    createOrder: placeOne,
    getOrder: async ({ orderId, asOf }) => ({ order: await showOrder(database, orderId, asOf) }),
    getOrderDetail: ({ orderId }) => getOrderDetail(orderId, database),
    batchGetOrderDetails: (request) => batchGetOrderDetails(request, database),
    listRecentOrders: (request) => listRecentOrders(request, database),
    listOrders: (request) => listOrders(request, database),
    streamOrderUpdates: (request) => streamOrderUpdates(request, live),
    uploadOrders: (requests) => uploadOrders(requests, placeOne, silentLog),
    processOrders: (requests) => processOrders(requests, placeOne, silentLog),
  })
  await app.add('grpc', grpcServer(app, service))
  calling = callOrders(address)
})
afterEach(async () => {
  if (!app.stopping.aborted) await app.stop()
})
afterAll(async () => {
  sockets.remove()
  await server?.stop()
})

const wanted = (given: object = {}) => ({
  customerId: 'c-1',
  idempotencyKey: randomUUID(),
  lines: [{ productId: 'p-1', quantity: 1 }],
  ...given,
})
const placeOrder = async (given: object = {}) => (await calling.createOrder(wanted(given))).order?.orderId ?? ''

async function* sent<T>(items: readonly T[]) {
  for (const order of items) yield { order }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Reads until so many updates came, then ends the stream. */
async function updates(stream: AsyncIterable<StreamOrderUpdatesResponse>, count: number) {
  const found: StreamOrderUpdatesResponse[] = []
  for await (const answer of stream) {
    if (answer.update) found.push(answer)
    if (found.length === count) break
  }
  return found
}

describe('many orders in one stream', () => {
  test('are placed, with a summary that names each refused line; sent again, nothing is placed twice', async () => {
    const lines = Array.from({ length: 40 }, () => wanted())
    const wrong = [wanted({ customerId: '' }), wanted({ lines: [{ productId: 'p-none', quantity: 1 }] })]
    const upload = [...lines.slice(0, 10), wrong[0], ...lines.slice(10), wrong[1]]
    const first = await calling.uploadOrders(sent(upload))
    expect(first).toMatchObject({ received: 42, placed: 40, replayed: 0 })
    expect(first.refused.map(({ line, idempotencyKey, code }) => [line, idempotencyKey, code])).toEqual([
      [11, wrong[0]?.idempotencyKey, 'invalid-argument'],
      [42, wrong[1]?.idempotencyKey, 'invalid-argument'],
    ])
    expect(first.refused[0]?.message).toContain('customer_id')
    expect(await calling.uploadOrders(sent(upload))).toMatchObject({ received: 42, placed: 0, replayed: 40 })
  })

  test('are answered one by one, in their order', async () => {
    const known = wanted()
    await calling.createOrder(known)
    const answers = await all(
      calling.processOrders(sent([wanted(), known, wanted({ lines: [] }), undefined, wanted()])),
    )
    expect(answers.map(({ line, outcome }) => [line, outcome.case])).toEqual([
      [1, 'placed'],
      [2, 'replayed'],
      [3, 'refused'],
      [4, 'refused'],
      [5, 'placed'],
    ])
  })
})

describe('the read models', () => {
  test('list orders newest first, one customer’s or all, over several pages, and show each with its history', async () => {
    const lines = Array.from({ length: 450 }, (_, index) => wanted({ customerId: `c-${index % 2}` }))
    await calling.uploadOrders(sent(lines))
    await readModels.caughtUp()
    const ids = async (request: object) => (await all(calling.listOrders(request))).map(({ order }) => order?.orderId)
    const everyone = await ids({})
    expect(new Set(everyone).size).toBe(450)
    expect(new Set(await ids({ customerId: 'c-1' })).size).toBe(225)
    expect(await ids({ limit: 3 })).toEqual(everyone.slice(0, 3))
    await expect(ids({ limit: -1 })).rejects.toMatchObject({ code: 'invalid-argument' })
    const orderId = everyone[0] ?? ''
    await command(database, orderId, { kind: 'confirm' })
    await command(database, orderId, { kind: 'ship', trackingNumber: 't-1' })
    await readModels.caughtUp()
    const { order, history } = await calling.getOrderDetail({ orderId })
    expect(order).toEqual((await calling.getOrder({ orderId })).order)
    expect(history.map(({ status, note }) => [status, note])).toEqual([
      [OrderStatus.PLACED, ''],
      [OrderStatus.CONFIRMED, ''],
      [OrderStatus.SHIPPED, 't-1'],
    ])
  }, 20_000)

  test('many orders, or several customers’ newest, are one question to the database', async () => {
    const ids: string[] = []
    for (const customerId of ['c-1', 'c-2', 'c-1', 'c-1']) ids.push(await placeOrder({ customerId }))
    await readModels.caughtUp()
    const queries = jest.spyOn(pg.Client.prototype, 'query')
    const asked = () =>
      queries.mock.calls.map(([query]) => JSON.stringify(query)).filter((query) => /order_detail/.test(query))
    const { orders: some } = await calling.batchGetOrderDetails({
      orderIds: [ids[1] ?? '', 'none', '../x', ids[0] ?? ''],
    })
    expect(some.map(({ order }) => order?.orderId).toSorted()).toEqual(ids.slice(0, 2).toSorted())
    expect(asked()).toHaveLength(1)
    const { orders: recent } = await calling.listRecentOrders({ customerIds: ['c-1', 'c-2', 'c-3'], perCustomer: 2 })
    expect(recent.map(({ order }) => order?.orderId)).toEqual([ids[3], ids[2], ids[1]])
    expect(asked()).toHaveLength(2)
    queries.mockRestore()
    for (const wrong of [
      calling.batchGetOrderDetails({}),
      calling.batchGetOrderDetails({ orderIds: Array.from({ length: 101 }, (_, index) => `o-${index}`) }),
      calling.listRecentOrders({ customerIds: ['c-1'], perCustomer: 51 }),
      calling.listRecentOrders({
        customerIds: Array.from({ length: 100 }, (_, index) => `c-${index}`),
        perCustomer: 5,
      }),
    ])
      await expect(wrong).rejects.toMatchObject({ code: 'invalid-argument' })
  }, 20_000)
})

describe('what happens to orders', () => {
  test('is told live, and from a position on exactly once', async () => {
    const orderId = await placeOrder()
    const first = updates(calling.streamOrderUpdates({ orderId }), 2)
    await sleep(50)
    await placeOrder()
    const beganMs = performance.now()
    await command(database, orderId, { kind: 'confirm' })
    const [placed, confirmed] = await first
    expect(performance.now() - beganMs).toBeLessThan(1_000)
    expect([placed?.update?.version, confirmed?.update?.version]).toEqual([1n, 2n])
    await command(database, orderId, { kind: 'ship', trackingNumber: 't-1' })
    const rest = await updates(calling.streamOrderUpdates({ orderId, afterPosition: confirmed?.position ?? '' }), 1)
    expect(rest).toMatchObject([{ update: { version: 3n, status: OrderStatus.SHIPPED, note: 't-1' } }])
    const audit = await all(calling.streamOrderUpdates({ orderId, untilNow: true }))
    expect(audit.map(({ update }) => update?.version)).toEqual([1n, 2n, 3n])
    await expect(all(calling.streamOrderUpdates({ afterPosition: 'x' }))).rejects.toMatchObject({
      code: 'invalid-argument',
    })
  })

  test('is not told after a position that this log never gave; its own newest is one, and of the whole log', async () => {
    const orderId = await placeOrder()
    await placeOrder()
    const [, newest] = await updates(calling.streamOrderUpdates({}), 2)
    const [transaction = '', number = ''] = newest?.position.split(':') ?? []
    const foreign = [
      `${transaction}:${Number(number) + 1}`,
      `${BigInt(transaction) + 1_000_000n}:1`,
      `${'9'.repeat(19)}:1`,
    ]
    for (const afterPosition of foreign)
      await expect(updates(calling.streamOrderUpdates({ afterPosition }), 1)).rejects.toMatchObject({
        code: 'invalid-argument',
        violations: [{ field: 'after_position', code: 'out-of-range' }],
      })
    const follower = updates(calling.streamOrderUpdates({ orderId, afterPosition: newest?.position ?? '' }), 1)
    await sleep(50)
    await command(database, orderId, { kind: 'confirm' })
    expect(await follower).toMatchObject([{ update: { orderId, version: 2n } }])
  })

  test('is told to 50 readers at once while 8 write; each hears each event once, in its order’s order', async () => {
    const readers = Array.from({ length: 50 }, () => updates(calling.streamOrderUpdates({}), 200))
    const upload = Array.from({ length: 100 }, () => wanted())
    await calling.uploadOrders(sent(upload))
    const ids = (await updates(calling.streamOrderUpdates({ untilNow: true }), 100)).map(
      ({ update }) => update?.orderId,
    )
    await Promise.all(ids.map((orderId) => command(database, orderId ?? '', { kind: 'confirm' })))
    for (const heard of await Promise.all(readers)) {
      const versions = Map.groupBy(heard, ({ update }) => update?.orderId)
      expect(versions.size).toBe(100)
      for (const [, of] of versions) expect(of.map(({ update }) => update?.version)).toEqual([1n, 2n])
    }
    await until(() => feed.followers() === 0, 'nobody follows', 4_000)
  }, 30_000)

  test('has signs of life in between, and ends with unavailable when the instance stops', async () => {
    const alive: string[] = []
    let stopped: Promise<void> | undefined
    const read = async () => {
      for await (const { update, position } of calling.streamOrderUpdates({})) {
        if (!update) alive.push(position)
        if (alive.length === 2) stopped = app.stop()
      }
    }
    const beganMs = performance.now()
    await expect(read()).rejects.toMatchObject({ code: 'unavailable' })
    expect(performance.now() - beganMs).toBeLessThan(2_000)
    await stopped
    expect(alive).toEqual(['0:0', '0:0'])
  })

  test('ends when the reader’s time does, and leaves nothing behind', async () => {
    const read = withDeadline(100, () => updates(calling.streamOrderUpdates({}), 1))
    await expect(read).rejects.toMatchObject({ code: 'deadline-exceeded' })
    await until(() => feed.followers() === 0, 'nobody follows', 4_000)
  })
})

describe('the events', () => {
  test('tell what was known at a time', async () => {
    const orderId = await placeOrder()
    await sleep(5)
    const between = new Date().toISOString()
    await sleep(5)
    await command(database, orderId, { kind: 'confirm' })
    const statusAt = async (asOf: string) => (await calling.getOrder({ orderId, asOf })).order?.status
    expect([await statusAt(between), await statusAt('')]).toEqual([OrderStatus.PLACED, OrderStatus.CONFIRMED])
    await expect(statusAt('2020-01-01T00:00:00Z')).rejects.toMatchObject({ code: 'not-found' })
    await expect(statusAt('yesterday')).rejects.toMatchObject({ code: 'invalid-argument' })
    const audit = (query: string) =>
      auditOperation(database)({ verb: 'GET', path: [orderId], query: new URLSearchParams(query), body: {} })
    const placed = { version: 1, type: 'parley.orders.v1.OrderPlaced', message: { orderId } }
    expect(await audit(`at=${between}`)).toMatchObject({ order: { version: '1' }, events: [placed] })
    expect(await audit('')).toMatchObject({ order: { version: '2' }, events: [placed, { version: 2 }] })
  })

  test('of the first version are read as today’s, by commands and read models alike', async () => {
    const old = eventStore([OrderAcceptedSchema])
    const accepted = {
      orderId: 'o-old',
      customerId: 'c-9',
      lines: [{ productId: 'p-1', quantity: 2 }],
      totalCents: 1_498n,
    }
    await database.transaction((tx) => old.append(tx, 'o-old', 0, [create(OrderAcceptedSchema, accepted)]))
    await command(database, 'o-old', { kind: 'confirm' })
    await readModels.caughtUp()
    const total = { currency: 'EUR', minorUnits: 1_498n }
    expect((await calling.getOrder({ orderId: 'o-old' })).order).toMatchObject({ total, status: OrderStatus.CONFIRMED })
    const listed = await all(calling.listOrders({ customerId: 'c-9' }))
    expect(listed).toMatchObject([{ order: { orderId: 'o-old', total, lines: 1, version: 2n } }])
  })
})
