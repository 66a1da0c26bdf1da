/** Streams through real sidecars: what ends one, what does not, and that none of it opens the breaker. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { counter, startSidecars, type Testbed } from './testdata/testbed.ts'

jest.setTimeout(30_000)

const lifeMs = 1_500
const idleMs = 1_000
const breaker = { failures: 3, openMs: 20_000 }
const orders = service('orders', { exposes: [OrderService] })
const front = service('front', {
  edges: [
    calls(OrderService, ['getOrder'], { deadlineMs: 400, breaker }),
    calls(OrderService, ['listOrders'], { deadlineMs: lifeMs, breaker }),
    calls(OrderService, ['streamOrderUpdates'], { deadlineMs: 60_000, idleMs, breaker }),
  ],
})
const path = (method: string) => `/${OrderService.typeName}/${method}`
const raw = (bytes: Buffer) => bytes

let bed: Testbed
let server: Server
let client: Client
const ended: string[] = []

beforeAll(async () => {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => undefined })
  const of = system('streams', { services: [front, orders] })
  bed = await startSidecars(envoy, of, ['front', 'orders'], `127.84.${process.pid % 250}`)
  server = await application(bed.layout.services.orders?.appSocket ?? '')
  const at = `unix:${bed.layout.services.front?.outboundSocket}`
  client = new Client(at, credentials.createInsecure(), { 'grpc.default_authority': 'orders' })
})

afterAll(async () => {
  client?.close()
  server?.forceShutdown()
  await bed?.stop()
})

/** Lists for ever, five a second; updates come once and then never. */
async function application(socket: string): Promise<Server> {
  const server = new Server()
  const stream = (name: string, everyMs: number) => (call: ServerWritableStream<Buffer, Buffer>) => {
    call.sendMetadata(new Metadata())
    call.write(Buffer.from('1'))
    const timer = everyMs > 0 ? setInterval(() => call.write(Buffer.from('1')), everyMs) : undefined
    call.on('cancelled', () => {
      clearInterval(timer)
      ended.push(name)
    })
  }
  server.register(path('ListOrders'), stream('list', 200), raw, raw, 'serverStream')
  server.register(path('StreamOrderUpdates'), stream('updates', 0), raw, raw, 'serverStream')
  server.register(
    path('GetOrder'),
    (_call: object, answer: (error: null, bytes: Buffer) => void) => answer(null, Buffer.of()),
    raw,
    raw,
    'unary',
  )
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  )
  return server
}

/** Reads a stream to its end: how long it took, how much came, and with which status. */
function read(method: string, deadlineMs?: number): Promise<{ ms: number; messages: number; code: number }> {
  const beganMs = performance.now()
  const limits = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
  let messages = 0
  return new Promise((resolve) => {
    const stream = client.makeServerStreamRequest(path(method), raw, raw, Buffer.of(), new Metadata(), limits)
    const end = (code: number) => resolve({ ms: performance.now() - beganMs, messages, code })
    stream.on('data', () => {
      messages += 1
    })
    stream.on('error', (error: ServiceError) => end(error.code))
    stream.on('end', () => end(0))
  })
}

describe('a stream through the mesh', () => {
  test('lives as long as it is declared to: its caller ends it by its own clock, the proxy one that has none', async () => {
    const [own, none] = await Promise.all([read('ListOrders', lifeMs), read('ListOrders')])
    expect(own).toMatchObject({ code: 4 })
    expect(own.ms).toBeGreaterThan(lifeMs - 50)
    expect(own.messages).toBeGreaterThan(4)
    expect(none.code).not.toBe(0)
    expect(none.ms).toBeGreaterThan(lifeMs + 500)
    expect(none.ms).toBeLessThan(lifeMs + 2_000)
  })

  test('that is silent for too long is ended, far before its life is over; the callee is told', async () => {
    ended.length = 0
    const silent = await read('StreamOrderUpdates')
    expect(silent.messages).toBe(1)
    expect(silent.ms).toBeGreaterThan(idleMs - 50)
    expect(silent.ms).toBeLessThan(idleMs + 2_000)
    await sleep(100)
    expect(ended).toContain('updates')
  })

  test('that was cut says nothing of the callee: the breaker stays closed', async () => {
    await Promise.all(Array.from({ length: 6 }, () => read('StreamOrderUpdates')))
    expect(await counter(bed.layout, 'front', 'ejections_enforced_total')).toBe(0)
    const answered = await new Promise((resolve) =>
      client.makeUnaryRequest(path('GetOrder'), raw, raw, Buffer.of(), (error) => resolve(error?.code ?? 0)),
    )
    expect(answered).toBe(0)
  })
})
