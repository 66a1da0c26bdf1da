/** gRPC-Web by a real browser, through the edge that the provider renders; and gRPC by a machine, at the same port. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from '@jest/globals'
import type { Browser, Page as Tab } from 'puppeteer-core'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { type TestApp, testApp } from '#kit/app/app-fixture.ts'
import { invalidArgument, isServiceError } from '#kit/errors.ts'
import { client } from '#kit/grpc/client.ts'
import { type Handlers, implement } from '#kit/grpc/implementation.ts'
import { grpcServer } from '#kit/grpc/server.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import { shopPartners, shopTracking } from '#mesh/shop.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { startSidecars, type Testbed } from '#providers/envoy/testdata/testbed.ts'
import { rootDir } from '../sources.ts'
import { missingNeeds, pathOf, testWith } from '../tools/need.ts'
import { servePage, startBrowser, stopBrowser } from './browser.ts'
import type { Outcome, Page } from './page.ts'

const startMsMax = 60_000
const testMsMax = 15_000
const subnet = `127.68.${process.pid % 250}`
const orders = service('orders', { exposes: [OrderService] })
const partner = service('partner', {
  edges: [calls(OrderService, ['getOrder', 'listOrders', 'uploadOrders', 'processOrders'], { deadlineMs: 5_000 })],
})

let declared: Awaited<ReturnType<typeof servePage>>
let undeclared: Awaited<ReturnType<typeof servePage>>
let bed: Testbed
let app: TestApp<typeof orders>
let browser: Browser
let api: string

/** What the application saw, and what the test lets it say. */
const seen: { requests: string[]; gone: string[] } = { requests: [], gone: [] }
let updates = channel()

const handlers: Handlers<typeof OrderService> = {
  createOrder: async () => ({}),
  getOrder: async ({ orderId }, { signal }) => {
    seen.requests.push(`getOrder ${orderId}`)
    if (orderId === '') {
      const violation = { field: 'orderId', code: 'required', message: 'Name an order.' }
      throw invalidArgument('Which order?', violation)
    }
    if (orderId === 'slow') {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      seen.gone.push((signal.reason as { code: string }).code)
      throw signal.reason
    }
    return { order: { orderId } }
  },
  getOrderDetail: async () => ({}),
  batchGetOrderDetails: async () => ({}),
  listRecentOrders: async () => ({}),
  listOrders: async function* () {
    seen.requests.push('listOrders')
    yield { order: { orderId: 'o-1' } }
  },
  streamOrderUpdates: async function* ({ orderId }, { signal }) {
    seen.requests.push(`streamOrderUpdates ${orderId}`)
    signal.addEventListener('abort', () => updates.end((signal.reason as { code: string }).code))
    for await (const position of updates.said) yield { position }
  },
  uploadOrders: async (requests) => {
    let received = 0
    for await (const _request of requests) received += 1
    return { received }
  },
  processOrders: async function* (requests) {
    let line = 0
    for await (const _request of requests) yield { line: ++line }
  },
}

beforeAll(async () => {
  if (missingNeeds(['chromium'])) return
  const toolsDir = process.env.PARLEY_TOOLS ?? join(rootDir, '.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => undefined })
  declared = await servePage('test/browser/page.ts', `${subnet}.2`)
  undeclared = await servePage('test/browser/page.ts', `${subnet}.3`)
  const tracking = { ...shopTracking, service: orders, origins: [declared.origin], deadlineMs: 500 }
  const partners = { ...shopPartners, service: orders }
  const rare = { ...tracking, name: 'rare', methods: ['getOrderDetail'], rateLimit: { perSecond: 1, burst: 1 } }
  const of = system('pages', { services: [orders], exposures: [tracking, partners, rare] })
  bed = await startSidecars(envoy, of, ['orders'], subnet)
  const site = bed.layout.services.orders
  api = `http://${site?.edge?.address}:${site?.edge?.port}`
  app = testApp(orders, { listen: { kind: 'unix', path: site?.appSocket ?? '' } })
  await app.add('grpc', grpcServer(app, implement(OrderService, handlers)))
  browser = await startBrowser(pathOf('chromium'))
}, startMsMax)

afterAll(async () => {
  if (browser) await stopBrowser(browser)
  await app?.stop()
  await bed?.stop()
  await Promise.all([declared?.close(), undeclared?.close()])
}, startMsMax)

describe('a page of a declared origin', () => {
  inBrowser('calls, and reads what is wrong in the details of a refusal', async () => {
    const { ask } = await open(declared.origin)
    expect(await ask('getOrder', 'o-1')).toEqual({ code: 'ok', message: '', orderId: 'o-1' })
    expect(await ask('getOrder', '')).toMatchObject({
      code: 'InvalidArgument',
      message: 'Which order?',
      reason: 'INVALID_ARGUMENT',
      fields: ['orderId'],
    })
  })

  inBrowser('follows an order live: each message comes while the stream is open', async () => {
    const { ask, heard } = await open(declared.origin)
    updates = channel()
    const over = ask('follow', 'o-1')
    for (const position of ['1', '2', '3']) {
      // Nothing more is said before this one has been heard.
      updates.say(position)
      expect(await heard.next()).toMatchObject({ value: position })
    }
    updates.end()
    expect(await over).toMatchObject({ code: 'ok' })
  })

  inBrowser('that stops listening ends the work of the service', async () => {
    const { ask, heard, tab } = await open(declared.origin)
    updates = channel()
    const over = ask('follow', 'o-1')
    updates.say('1')
    await heard.next()
    await ask('stop')
    expect(await updates.ended).toBe('cancelled')
    expect(await over).toMatchObject({ code: 'Canceled' })
    updates = channel()
    void ask('follow', 'o-1').catch(() => undefined)
    updates.say('1')
    await heard.next()
    await tab.close()
    expect(await updates.ended).toBe('cancelled')
  })

  inBrowser('waits as long as it said and no longer, and the service is told', async () => {
    const { ask, heard } = await open(declared.origin)
    seen.gone.length = 0
    expect(await ask('getOrder', 'slow', 200)).toMatchObject({ code: 'DeadlineExceeded' })
    updates = channel()
    const over = ask('follow', 'o-1', 400)
    updates.say('1')
    await heard.next()
    expect(await over).toMatchObject({ code: 'DeadlineExceeded' })
    expect(await updates.ended).toMatch(/deadline-exceeded|cancelled/)
    // Somebody without a clock of its own is answered by the service's, in gRPC's words.
    expect(await post('GetOrder', named('slow'), { 'grpc-timeout': '200m' })).toMatch(/grpc-status: ?4/)
    seen.gone.length = 0
    expect(await post('GetOrder', named('slow'))).toMatch(/grpc-status: ?4/)
    expect(seen.gone).toEqual(['deadline-exceeded'])
  })

  inBrowser('is told in gRPC’s words what a proxy refuses', async () => {
    const tooLarge = await post('GetOrder', named('x'.repeat(shopTracking.bodyBytesMax ?? 0)))
    expect(tooLarge).toMatch(/grpc-message: Payload Too Large\ngrpc-status: 2/)
    await post('GetOrderDetail', named('o-1'))
    expect(await post('GetOrderDetail', named('o-1'))).toMatch(/grpc-message: local_rate_limited\ngrpc-status: 14/)
    expect(await post('CreateOrder', named(''))).toMatch(/grpc-status: ?12/)
    expect(await post('ListOrders', named(''))).toMatch(/called by gRPC\.[\s\S]*grpc-status: ?12/)
  })
})

describe('a page of any other origin', () => {
  inBrowser('is refused by its browser, and the service never hears of it', async () => {
    seen.requests.length = 0
    const { ask } = await open(undeclared.origin)
    expect(await ask('getOrder', 'o-1')).toMatchObject({ code: 'Unknown', message: 'Failed to fetch' })
    expect(await ask('follow', 'o-1')).toMatchObject({ code: 'Unknown', message: 'Failed to fetch' })
    const { ask: askFromDeclared } = await open(declared.origin)
    expect(await askFromDeclared('listOrders')).toMatchObject({ code: 'Unknown', message: 'Failed to fetch' })
    expect(seen.requests).toEqual([])
  })

  inBrowser('is not even answered a question; what is declared is answered by the proxy', async () => {
    const [ours, theirs] = await Promise.all([declared.origin, undeclared.origin].map((origin) => question(origin)))
    expect(ours?.status).toBe(200)
    expect(Object.fromEntries(ours?.headers ?? [])).toMatchObject({
      'access-control-allow-origin': declared.origin,
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': expect.stringMatching(/x-grpc-web.*traceparent.*x-correlation-id/),
    })
    expect(ours?.headers.has('access-control-allow-credentials')).toBe(false)
    expect(theirs?.status).toBe(200)
    expect(theirs?.headers.has('access-control-allow-origin')).toBe(false)
  })
})

describe('a machine at the same port', () => {
  const machine = () => {
    const { hostname: host, port } = new URL(api)
    const address = { kind: 'tcp', host, port: Number(port) } as const
    return client(testApp(partner, { calls: { [OrderService.typeName]: { callee: 'orders', address } } }), OrderService)
  }

  inBrowser('speaks gRPC where that is declared, streams both ways; nothing that is for pages', async () => {
    const calling = machine()
    async function* two() {
      yield { order: { idempotencyKey: 'k-1' } }
      yield { order: { idempotencyKey: 'k-2' } }
    }
    expect(await calling.uploadOrders(two())).toMatchObject({ received: 2 })
    const lines: number[] = []
    for await (const { line } of calling.processOrders(two())) lines.push(line)
    expect(lines).toEqual([1, 2])
    async function* large() {
      yield { order: { idempotencyKey: 'k'.repeat(5 * 1024 * 1024) } }
    }
    const tooLarge = await calling.uploadOrders(large()).catch((thrown: unknown) => thrown)
    expect(isServiceError(tooLarge, 'overloaded')).toBe(true)
    const refusal = await calling.getOrder({ orderId: 'o-1' }).catch((thrown: unknown) => thrown)
    expect(isServiceError(refusal, 'unimplemented')).toBe(true)
    expect((refusal as Error).cause).toMatchObject({ details: 'This method is called by gRPC-Web.' })
  })
})

function inBrowser(title: string, body: () => Promise<void>): void {
  testWith(['chromium'], title, body, testMsMax)
}

/** Opens a page, and gives what it hears of a stream, one at a time. */
async function open(origin: string) {
  const tab: Tab = await browser.newPage()
  const hearing = channel()
  await tab.exposeFunction('heard', (position: string) => hearing.say(position))
  await tab.goto(`${origin}/?api=${encodeURIComponent(api)}`)
  const ask = (name: keyof Page, ...args: readonly unknown[]): Promise<Outcome> =>
    tab.evaluate(
      (called, given) =>
        // biome-ignore lint/suspicious/noExplicitAny: it runs in the page.
        (globalThis as any).page[called](...given),
      name,
      args,
    )
  return { tab, ask, heard: hearing.said[Symbol.asyncIterator]() }
}

/** A unary call on the wire, without a clock; the answer's headers and body as one text. */
async function post(method: string, message: Buffer, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  const headers = { 'content-type': 'application/grpc-web+proto', origin: declared.origin, ...more }
  const body = Buffer.concat([frame, message])
  const answer = await fetch(`${api}/${OrderService.typeName}/${method}`, { method: 'POST', headers, body })
  const said = [...answer.headers].map(([name, value]) => `${name}: ${value}`)
  return [...said, await answer.text()].join('\n')
}

/** The first field of a message, a string. */
function named(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return Buffer.concat([Buffer.from([0x0a, ...length]), bytes])
}

function question(origin: string): Promise<Response> {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-grpc-web' }
  return fetch(`${api}/${OrderService.typeName}/GetOrder`, { method: 'OPTIONS', headers })
}

/** What one side says and the other hears, in order. `ended` tells why it was over. */
function channel() {
  const waiting: string[] = []
  let wake = Promise.withResolvers<void>()
  const over = Promise.withResolvers<string | undefined>()
  let isOver = false
  async function* said(): AsyncGenerator<string, void> {
    for (;;) {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) yield next
      if (isOver) return
      await wake.promise
      wake = Promise.withResolvers<void>()
    }
  }
  return {
    said: said(),
    ended: over.promise,
    say: (text: string) => {
      waiting.push(text)
      wake.resolve()
    },
    end: (reason?: string) => {
      isOver = true
      over.resolve(reason)
      wake.resolve()
    },
  }
}
