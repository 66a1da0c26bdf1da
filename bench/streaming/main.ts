/**
 * What a message of a stream costs: the kit's own client and server, in two processes, directly over a Unix socket and
 * through two Envoys with mutual TLS. A message is a line of the list of orders, some 100 bytes.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { type Client, client } from '#kit/grpc/client.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { inOrder } from '#kit/grpc/in-order.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { OrderService, OrderStatus } from '#proto/parley/orders/v1/orders_pb.ts'
import { startSidecars } from '#providers/envoy/testdata/testbed.ts'
import { end } from '../child.ts'
import { quantile } from '../load.ts'
import { type Line, print } from '../report.ts'

const messages = 50_000
const rounds = 5

const orders = service('orders', { exposes: [OrderService] })
const caller = service('caller', {
  edges: [calls(OrderService, ['listOrders', 'processOrders', 'uploadOrders'], { deadlineMs: 60_000 })],
})
const of = system('streaming', { services: [caller, orders] })

type Orders = Client<typeof caller, typeof OrderService>

const summary = {
  orderId: '36a54b3f-6a97-4775-8b70-17d5c66ca71a',
  customerId: 'c-1',
  status: OrderStatus.CONFIRMED,
  total: { currency: 'EUR', minorUnits: 1_998n },
  lines: 2,
  version: 2n,
  placedAt: '2026-01-01T00:00:00.000Z',
}
const request = { order: { customerId: 'c-1', idempotencyKey: 'k-1', lines: [{ productId: 'p-1', quantity: 2 }] } }

async function main(): Promise<void> {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => {} })
  const bed = await startSidecars(envoy, of, ['caller', 'orders'], '127.77.249')
  const application = spawn(
    process.execPath,
    [import.meta.filename, 'serve', bed.layout.services.orders?.appSocket ?? ''],
    {
      stdio: 'inherit',
    },
  )
  try {
    const direct = await callOrders(bed.layout.services.orders?.appSocket ?? '')
    const meshed = await callOrders(bed.layout.services.caller?.outboundSocket ?? '')
    print(`3 · gRPC streaming: a message of a stream, ${messages} messages a stream, median of ${rounds}`, [
      ...(await measure('directly', direct)),
      ...(await measure('through the mesh', meshed)),
    ])
  } finally {
    await end(application)
    await bed.stop()
  }
}

async function measure(how: string, orders: Orders): Promise<Line[]> {
  const kinds = {
    'server streaming': () => drain(orders.listOrders({ limit: messages })),
    'client streaming': async () => (await orders.uploadOrders(requests())).received,
    'both ways': () => drain(orders.processOrders(requests())),
  }
  const lines: Line[] = []
  for (const [kind, run] of Object.entries(kinds)) {
    const microseconds: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const beganMs = performance.now()
      const count = await run()
      if (count !== messages) throw new Error(`${kind}: ${count} of ${messages} messages came`)
      microseconds.push(((performance.now() - beganMs) * 1_000) / messages)
    }
    lines.push({
      what: `${kind}, ${how}`,
      measured: quantile(microseconds, 0.5),
      unit: 'µs',
      claimed: 'under 1 ms',
      target: 60,
    })
  }
  return lines
}

async function drain(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of stream) count += 1
  return count
}

async function* requests() {
  for (let line = 0; line < messages; line += 1) yield request
}

async function callOrders(socket: string): Promise<Orders> {
  for (let attempt = 0; attempt < 100 && !existsSync(socket); attempt += 1) await sleep(50)
  const address = { kind: 'unix', path: socket } as const
  return client(testApp(caller, { calls: { [OrderService.typeName]: { callee: 'orders', address } } }), OrderService)
}

async function serve(socket: string): Promise<void> {
  const app = testApp(orders, { listen: { kind: 'unix', path: socket } })
  const service = implement(OrderService, {
    createOrder: async () => ({}),
    getOrder: async () => ({}),
    getOrderDetail: async () => ({}),
    batchGetOrderDetails: async () => ({}),
    listRecentOrders: async () => ({}),
    async *listOrders({ limit }) {
      for (let line = 0; line < limit; line += 1) yield { order: summary }
    },
    async *streamOrderUpdates() {},
    uploadOrders: async (requests) => ({ received: await drain(requests) }),
    processOrders: (requests) => inOrder(requests, 8, async (_request, index) => ({ line: index + 1 })),
  })
  await app.add('grpc', grpcServer(app, service))
}

const [, , role, socket] = process.argv
if (role === 'serve' && socket) await serve(socket)
else {
  await main()
  process.exit()
}
