import { statSync } from 'node:fs'
import { constants, createServer } from 'node:http2'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { Client as Channel, credentials, type ServiceError as GrpcFailure, status } from '@grpc/grpc-js'
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from '#proto/grpc/health/v1/health_pb.ts'
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '#proto/grpc/reflection/v1/reflection_pb.ts'
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { socketFolder, type TestApp, testApp } from '../app/app-fixture.ts'
import { currentContext, runAsMessage } from '../context.ts'
import { remainingMs, withDeadline } from '../deadline.ts'
import { invalidArgument, isServiceError, type ServiceError } from '../errors.ts'
import { client } from './client.ts'
import type { Handlers } from './implementation.ts'
import { implement } from './implementation.ts'
import { silentOrders } from './orders-fixture.ts'
import { grpcServer } from './server.ts'

const inventory = service('inventory', { exposes: [InventoryService] })
const orders = service('orders', {
  exposes: [OrderService],
  edges: [calls(InventoryService, ['checkStock'], { deadlineMs: 300 })],
})
const gateway = service('gateway', { edges: [calls(OrderService, ['getOrder'], { deadlineMs: 2_000 })] })

const sockets = socketFolder()
const apps: TestApp<typeof inventory | typeof orders | typeof gateway>[] = []
let sequence = 0
let socket: (name: string) => ReturnType<typeof sockets.at>

beforeEach(() => {
  const run = ++sequence
  socket = (name) => sockets.at(`${name}${run}`)
})
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.stop()))
})
afterAll(() => sockets.remove())

type StockHandlers = Handlers<typeof InventoryService>

async function startInventory(handlers: StockHandlers) {
  const app = testApp(inventory, { listen: socket('inventory') })
  apps.push(app)
  await app.add('grpc', grpcServer(app, implement(InventoryService, handlers)))
  return app
}

function ordersApp() {
  const api = InventoryService.typeName
  const app = testApp(orders, {
    listen: socket('orders'),
    calls: { [api]: { callee: 'inventory', address: socket('inventory') } },
  })
  apps.push(app)
  return app
}

async function startChain(leaf: StockHandlers, getOrder: (stock: ReturnType<typeof stockClient>) => Promise<object>) {
  await startInventory(leaf)
  const app = ordersApp()
  const stock = stockClient(app)
  await app.add('grpc', grpcServer(app, implement(OrderService, { ...silentOrders, getOrder: () => getOrder(stock) })))
  const api = OrderService.typeName
  const outer = testApp(gateway, { calls: { [api]: { callee: 'orders', address: socket('orders') } } })
  return client(outer, OrderService)
}

function stockClient(app: ReturnType<typeof ordersApp>) {
  return client(app, InventoryService)
}

function failure(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => Promise.reject(new Error('The call was answered.')),
    (thrown) => thrown,
  )
}

/** A plain grpc-js caller, which is not ours. */
function plainCall(path: string, request: Buffer): Promise<{ bytes?: Buffer; failure?: GrpcFailure }> {
  const channel = new Channel(`unix:${socket('inventory').path}`, credentials.createInsecure())
  const asIs = (bytes: Buffer) => bytes
  return new Promise((resolve) => {
    channel.makeUnaryRequest(path, asIs, asIs, request, (failure, bytes) => {
      channel.close()
      resolve({ ...(bytes && { bytes }), ...(failure && { failure }) })
    })
  })
}

describe('a call', () => {
  test('is answered, through a socket that belongs to its owner alone', async () => {
    await startInventory({
      checkStock: async ({ lines }) => ({ lines: lines.map(({ productId }) => ({ productId, known: true })) }),
    })
    const answer = await stockClient(ordersApp()).checkStock({ lines: [{ productId: 'p-1', quantity: 2 }] })
    expect(answer.lines).toMatchObject([{ productId: 'p-1', known: true }])
    expect(statSync(socket('inventory').path).mode & 0o777).toBe(0o600)
  })

  test('takes its deadline through two hops, and the leaf is told when it passes', async () => {
    let told: Promise<unknown> | undefined
    let leafRemainingMs = 0
    const orders = await startChain(
      {
        checkStock(_request, { signal }) {
          leafRemainingMs = remainingMs()
          told = new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)))
          return new Promise(() => undefined)
        },
      },
      (stock) => stock.checkStock({}),
    )
    const startedMs = performance.now()
    const error = await failure(withDeadline(120, () => orders.getOrder({})))
    const tookMs = performance.now() - startedMs
    expect(error.code).toBe('deadline-exceeded')
    expect(tookMs).toBeGreaterThan(100)
    expect(tookMs).toBeLessThan(250)
    // Less than the 300 ms that its own edge declares: the outer caller's 120 ms arrived at the leaf.
    expect(leafRemainingMs).toBeLessThanOrEqual(120)
    expect(((await told) as ServiceError).code).toBe('deadline-exceeded')
  })

  test("ends at the edge's declared deadline where the outer caller would wait longer", async () => {
    const orders = await startChain({ checkStock: () => new Promise(() => undefined) }, (stock) => stock.checkStock({}))
    const startedMs = performance.now()
    expect((await failure(orders.getOrder({}))).code).toBe('deadline-exceeded')
    expect(performance.now() - startedMs).toBeLessThan(600)
  })

  test('is cancelled down to the leaf when the outer caller goes away', async () => {
    const told = Promise.withResolvers<unknown>()
    const atLeaf = Promise.withResolvers<void>()
    const orders = await startChain(
      {
        checkStock(_request, { signal }) {
          signal.addEventListener('abort', () => told.resolve(signal.reason))
          atLeaf.resolve()
          return new Promise(() => undefined)
        },
      },
      (stock) => stock.checkStock({}),
    )
    const leaving = new AbortController()
    const call = failure(orders.getOrder({}, { signal: leaving.signal }))
    await atLeaf.promise
    leaving.abort()
    expect((await call).code).toBe('cancelled')
    expect(((await told.promise) as ServiceError).code).toBe('cancelled')
  })

  test('carries its correlation id to the leaf', async () => {
    let seen: string | undefined
    const orders = await startChain(
      {
        async checkStock() {
          seen = currentContext()?.correlationId
          return {}
        },
      },
      (stock) => stock.checkStock({}),
    )
    await runAsMessage('c-42', () => orders.getOrder({}))
    expect(seen).toBe('c-42')
  })

  test('brings an operating error back with its code and its violations', async () => {
    const violation = { field: 'lines[0].quantity', code: 'positive', message: 'must be above 0' }
    await startInventory({ checkStock: () => Promise.reject(invalidArgument('No such lines.', violation)) })
    const error = await failure(stockClient(ordersApp()).checkStock({}))
    expect(isServiceError(error, 'invalid-argument')).toBe(true)
    expect(error.violations).toEqual([violation])
    expect(error.message).toBe('No such lines.')
  })

  test('never shows what an internal error says, but its correlation id', async () => {
    await startInventory({ checkStock: () => Promise.reject(new Error('password of db is hunter2')) })
    const error = await runAsMessage('c-7', () => failure(stockClient(ordersApp()).checkStock({})))
    expect(error.code).toBe('internal')
    expect(error.message).not.toContain('hunter2')
    expect(error.message).toContain('c-7')
  })

  test("of bytes that are no message is the caller's mistake", async () => {
    await startInventory({ checkStock: async () => ({}) })
    const { failure } = await plainCall(`/${InventoryService.typeName}/CheckStock`, Buffer.from([0x0a, 0xff, 0x01]))
    expect(failure?.code).toBe(status.INVALID_ARGUMENT)
    expect(failure?.details).toContain('parley.inventory.v1.CheckStockRequest')
  })

  test('whose answer a proxy breaks off is unavailable, for nobody said that anything is wrong', async () => {
    const proxy = createServer()
    proxy.on('stream', (stream) => {
      stream.on('error', () => undefined)
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    })
    await new Promise<void>((resolve) => proxy.listen(socket('inventory').path, resolve))
    try {
      const error = await failure(stockClient(ordersApp()).checkStock({}))
      expect([error.code, error.message]).toEqual(['unavailable', 'inventory CheckStock: INTERNAL'])
    } finally {
      proxy.close()
    }
  })

  test('to nobody fails at once as unavailable', async () => {
    const startedMs = performance.now()
    const error = await failure(stockClient(ordersApp()).checkStock({}))
    // No address, no path: the message may be shown outside.
    expect([error.code, error.message]).toEqual(['unavailable', 'inventory CheckStock: UNAVAILABLE'])
    expect(performance.now() - startedMs).toBeLessThan(150)
  })
})

describe('a server', () => {
  test('lets what is under way finish when it closes, and takes no more', async () => {
    const held = Promise.withResolvers<void>()
    let arrived = 0
    const app = await startInventory({
      async checkStock() {
        arrived++
        await held.promise
        return { lines: [] }
      },
    })
    const stock = stockClient(ordersApp())
    const underWay = Array.from({ length: 20 }, () => stock.checkStock({}))
    while (arrived < underWay.length) await new Promise((resolve) => setTimeout(resolve, 2))
    const stopped = app.stop()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await failure(stock.checkStock({}))).code).toBe('unavailable')
    held.resolve()
    expect(await Promise.all(underWay)).toHaveLength(20)
    await stopped
  })

  test('tells its health by readiness', async () => {
    const app = await startInventory({ checkStock: async () => ({}) })
    let reason: string | undefined
    app.readyWhen('stock', () => reason)
    const check = async (name: string) => {
      const request = Buffer.from(
        toBinary(HealthCheckRequestSchema, { $typeName: 'grpc.health.v1.HealthCheckRequest', service: name }),
      )
      const { bytes, failure } = await plainCall('/grpc.health.v1.Health/Check', request)
      return bytes ? fromBinary(HealthCheckResponseSchema, bytes).status : failure?.code
    }
    expect(await check('')).toBe(1)
    expect(await check(InventoryService.typeName)).toBe(1)
    expect(await check('nobody')).toBe(status.NOT_FOUND)
    reason = 'no database'
    expect(await check('')).toBe(2)
  })

  test.each(['v1', 'v1alpha'])('describes itself by reflection %s', async (version) => {
    await startInventory({ checkStock: async () => ({}) })
    const channel = new Channel(`unix:${socket('inventory').path}`, credentials.createInsecure())
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
    const stream = channel.makeBidiStreamRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
    )
    const ask = (value: string, kind: 'listServices' | 'fileContainingSymbol') =>
      stream.write(
        Buffer.from(
          toBinary(ServerReflectionRequestSchema, {
            $typeName: 'grpc.reflection.v1.ServerReflectionRequest',
            host: '',
            messageRequest: { case: kind, value },
          }),
        ),
      )
    ask('', 'listServices')
    ask('parley.inventory.v1.CheckStockRequest', 'fileContainingSymbol')
    stream.end()
    const answers = []
    for await (const bytes of stream) answers.push(fromBinary(ServerReflectionResponseSchema, bytes).messageResponse)
    channel.close()
    const [list, file] = answers
    const names = list?.case === 'listServicesResponse' ? list.value.service.map(({ name }) => name) : []
    expect(names).toEqual(expect.arrayContaining([InventoryService.typeName, 'grpc.health.v1.Health']))
    expect(file?.case === 'fileDescriptorResponse' && file.value.fileDescriptorProto).toHaveLength(1)
  })
})
