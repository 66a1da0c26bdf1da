/**
 * gRPC for browsers beside gRPC: the same order, read through the same Envoy of the same service at its public port. A page's client
 * speaks gRPC-Web by `fetch`, a machine's gRPC over HTTP/2; what they add is in the figures.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@connectrpc/connect'
import { createGrpcWebTransport } from '@connectrpc/connect-web'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { client } from '#kit/grpc/client.ts'
import { implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { startSidecars } from '#providers/envoy/testdata/testbed.ts'
import { end } from '../child.ts'
import { besideEachOther, closedLoop, quantile } from '../load.ts'
import { type Line, latencyLines, print } from '../report.ts'
import { answered, wanted } from '../rest/order.ts'

const perSecond = 100
const seconds = 10
const inFlight = 32
const secondsARound = 3
const rounds = 3

const limits = { rateLimit: null, deadlineMs: 10_000 } as const
const orders = service('orders', { exposes: [OrderService] })
// A method is open to pages or to machines, so it is another one of the same contents.
const pages = exposure('pages', orders, OrderService, {
  ...{ client: 'browser', grpcWeb: true, methods: ['getOrder'] },
  ...limits,
})
const machines = exposure('machines', orders, OrderService, { methods: ['getOrderDetail'], ...limits })
const partner = service('partner', { edges: [calls(OrderService, ['getOrderDetail'], { deadlineMs: 10_000 })] })

type Ways = { readonly grpcWeb: () => Promise<unknown>; readonly grpc: () => Promise<unknown> }

async function main(): Promise<void> {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => {} })
  const of = system('web', { services: [orders], exposures: [pages, machines] })
  const bed = await startSidecars(envoy, of, ['orders'], '127.77.246')
  const { appSocket = '', edge } = bed.layout.services.orders ?? {}
  const application = spawn(process.execPath, [import.meta.filename, 'serve', appSocket], { stdio: 'inherit' })
  try {
    const ways = openWays(edge?.address ?? '', edge?.port ?? 0)
    for (const call of [ways.grpcWeb, ways.grpc]) await answers(call)
    const title = `16 · gRPC for browsers: an order of ten lines, open loop, ${perSecond}/s each for ${seconds} s`
    print(title, [...(await timeLines(ways)), ...(await rateLines(ways))])
  } finally {
    await end(application)
    await bed.stop()
  }
}

async function timeLines({ grpcWeb, grpc }: Ways): Promise<Line[]> {
  await besideEachOther({ grpcWeb, grpc }, { perSecond, seconds: 3 })
  const took = await besideEachOther({ grpcWeb, grpc }, { perSecond, seconds })
  return [
    ...latencyLines('gRPC-Web, HTTP/1.1, translated by the edge', took.grpcWeb, { claimed: '–' }),
    ...latencyLines('gRPC, HTTP/2, through the same edge', took.grpc, { claimed: '1–20 ms' }),
    {
      what: 'gRPC-Web adds at p50',
      measured: quantile(took.grpcWeb, 0.5) - quantile(took.grpc, 0.5),
      ...{ unit: 'ms', note: 'with its client' },
    },
  ]
}

async function rateLines({ grpcWeb, grpc }: Ways): Promise<Line[]> {
  const best = { grpcWeb: 0, grpc: 0 }
  for (let round = 0; round < rounds; round += 1) {
    best.grpcWeb = Math.max(best.grpcWeb, await rateOf(grpcWeb))
    best.grpc = Math.max(best.grpc, await rateOf(grpc))
  }
  const note = `best of ${rounds}`
  return [
    { what: `gRPC-Web, ${inFlight} in flight`, measured: best.grpcWeb, unit: 'calls/s', note },
    { what: `gRPC, ${inFlight} in flight`, measured: best.grpc, unit: 'calls/s', claimed: '7–9 K rps', note },
  ]
}

async function rateOf(call: () => Promise<unknown>): Promise<number> {
  const { calls: count, elapsedMs } = await closedLoop({ callers: inFlight, seconds: secondsARound, call })
  return (count * 1_000) / elapsedMs
}

function openWays(host: string, port: number): Ways {
  const page = createClient(OrderService, createGrpcWebTransport({ baseUrl: `http://${host}:${port}` }))
  const address = { kind: 'tcp', host, port } as const
  const machine = client(
    testApp(partner, { calls: { [OrderService.typeName]: { callee: 'orders', address } } }),
    OrderService,
  )
  const orderId = answered(wanted).order.orderId
  return { grpcWeb: () => page.getOrder({ orderId }), grpc: () => machine.getOrderDetail({ orderId }) }
}

async function answers(call: () => Promise<unknown>): Promise<void> {
  let last: unknown
  for (let attempt = 0; attempt < 200; attempt += 1) {
    try {
      await call()
      return
    } catch (error) {
      last = error
      await sleep(50)
    }
  }
  throw new Error('The edge did not answer within 10 s', { cause: last })
}

async function serve(path: string): Promise<void> {
  const app = testApp(orders, { listen: { kind: 'unix', path } })
  const { order } = answered(wanted)
  const handlers = implement(OrderService, {
    createOrder: async () => ({}),
    getOrder: async () => ({ order }),
    getOrderDetail: async () => ({ order }),
    batchGetOrderDetails: async () => ({}),
    listRecentOrders: async () => ({}),
    async *listOrders() {},
    async *streamOrderUpdates() {},
    uploadOrders: async () => ({}),
    async *processOrders() {},
  })
  await app.add('grpc', grpcServer(app, handlers))
}

const [, , role, socket] = process.argv
if (role === 'serve' && socket) await serve(socket)
else {
  await main()
  process.exit()
}
