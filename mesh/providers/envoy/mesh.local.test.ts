/** The rendered sidecars at work: everything a plan says of calls, held against real Envoys in one small system. */
import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { createServer, connect as tcpConnect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { issue, newAuthority } from '#local/certificates/authority.ts'
import { rotateCertificates } from '#local/certificates/certificates.ts'
import type { ServiceSite } from '#local/layout.ts'
import { sidecarFiles } from '#local/sidecar.ts'
import { ensureToolchain } from '#local/toolchain/toolchain.ts'
import type { Fault } from '#plan/fault.ts'
import { administration, counter, startTestbed, type Testbed } from './testdata/testbed.ts'
import {
  checkStock,
  createOrder,
  type FakeApp,
  fakeGrpc,
  fakeHttp,
  getOrder,
  grpcCaller,
  http,
  knock,
  papersOf,
} from './testdata/wire.ts'

jest.setTimeout(30_000)

const ok = 0
const deadlineExceeded = 4
const denied = 7
const exhausted = 8
const unavailable = 14
/** The worker that counts failures tells the main thread, which tells the worker to eject: not in the same instant. */
const ejectionMs = 50

let bed: Testbed
let inventoryApp: FakeApp
let ordersApp: FakeApp
let inventory: ReturnType<typeof grpcCaller>
let orders: ReturnType<typeof grpcCaller>
const closing: { close: () => unknown }[] = []

function site(name: string): ServiceSite {
  const found = bed.layout.services[name]
  if (!found) throw new Error(`no ${name}`)
  return found
}

beforeAll(async () => {
  const toolsDir = process.env.PARLEY_TOOLS ?? join(import.meta.dirname, '../../../.parley/tools')
  const { envoy } = await ensureToolchain({ toolsDir, needs: ['envoy'], report: () => undefined })
  bed = await startTestbed(envoy)
  inventoryApp = await fakeGrpc(site('inventory').appSocket, [checkStock])
  ordersApp = await fakeGrpc(site('orders').appSocket, [createOrder, getOrder])
  inventory = grpcCaller(site('front').outboundSocket, 'inventory')
  orders = grpcCaller(site('front').outboundSocket, 'orders')
  for (const at of [site('catalog').appSocket, site('front').appSocket, site('front').appAdminSocket])
    closing.push(await fakeHttp(at))
})

afterAll(async () => {
  inventory?.close()
  orders?.close()
  inventoryApp?.stop()
  ordersApp?.stop()
  for (const server of closing) server.close()
  await bed?.stop()
})

beforeEach(() => {
  for (const app of [inventoryApp, ordersApp]) {
    app.answer = () => ok
    app.seen = 0
  }
})

describe('access', () => {
  test('a declared call passes, gRPC and REST', async () => {
    expect(await inventory.call(checkStock)).toMatchObject({ code: ok })
    const answer = await http(site('front').outboundSocket, 'GET /products/p-1?full=1', {
      headers: { host: 'catalog' },
    })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.text)).toMatchObject({
      method: 'GET',
      url: '/products/p-1?full=1',
      headers: { 'x-parley-timeout-ms': '500' },
    })
  })

  test("the caller's own sidecar refuses what is not declared and says what is", async () => {
    const method = await orders.call(getOrder)
    expect(method).toMatchObject({ code: denied, details: expect.stringContaining(`it declares POST ${createOrder}`) })
    const shipping = grpcCaller(site('front').outboundSocket, 'shipping')
    expect(await shipping.call(createOrder)).toMatchObject({ code: denied })
    shipping.close()
    const rest = (line: string) => http(site('front').outboundSocket, line, { headers: { host: 'catalog' } })
    for (const line of ['DELETE /products/p-1', 'GET /products/p-1/prices', 'GET /products/', 'GET /products'])
      expect([line, (await rest(line)).status]).toEqual([line, 403])
    expect(ordersApp.seen).toBe(0)
  })

  test("the callee's sidecar refuses every identity and method that has no grant", async () => {
    const at = site('orders').inbound
    const front = papersOf(site('front').certs)
    expect(await knock(at, createOrder, front)).toBe(String(ok))
    expect(await knock(at, getOrder, front)).toBe(String(denied))
    expect(await knock(at, `${createOrder}/`, front)).toBe(String(denied))
    expect(await knock(at, '/grpc.health.v1.Health/Check', front)).toBe(String(denied))
    expect(await knock(at, createOrder, papersOf(site('mallory').certs))).toBe(String(denied))
    expect(await knock(at, createOrder, papersOf(site('inventory').certs))).toBe(String(denied))
    expect(ordersApp.seen).toBe(1)
  })

  test('no certificate, an expired one, a foreign one, plain text: none gets in', async () => {
    const at = site('orders').inbound
    const subject = {
      name: 'front',
      spiffe: `spiffe://cluster.local/ns/mesh-test/sa/front`,
      dnsNames: [],
      addresses: [],
    }
    const own = papersOf({ ...site('front').certs, ...authorityFiles() })
    const authority = { cert: own.cert, key: own.key }
    const outside = { ...subject, spiffe: 'spiffe://cluster.local/ns/elsewhere/sa/front' }
    const papers = {
      'no certificate': 'none',
      'plain text': 'plain text',
      expired: await issue(authority, subject, -60_000),
      'foreign authority': await issue(await newAuthority('mesh-test', 60_000), subject, 60_000),
      'another namespace': await issue(authority, outside, 60_000),
    } as const
    expect(await knock(at, createOrder, await issue(authority, subject, 60_000))).toBe(String(ok))
    for (const [what, shown] of Object.entries(papers))
      expect([what, await knock(at, createOrder, shown)]).toEqual([what, 'refused'])
    expect(ordersApp.seen).toBe(1)
  })

  test('sockets are for their owner alone', () => {
    for (const path of [site('front').outboundSocket, site('front').envoyAdminSocket])
      expect(statSync(path).mode & 0o777).toBe(0o600)
  })
})

describe('time and repetition', () => {
  test('the deadline ends the call, the callee is told what is left and when to stop', async () => {
    let left = 0
    let stopped = false
    ordersApp.answer = async (call) => {
      left = Number(call.getDeadline()) - Date.now()
      call.on('cancelled', () => {
        stopped = true
      })
      await sleep(1_000)
      return ok
    }
    const late = await orders.call(createOrder)
    expect(late).toMatchObject({ code: deadlineExceeded })
    expect(late.ms).toBeGreaterThan(350)
    expect(late.ms).toBeLessThan(800)
    expect(left).toBeGreaterThan(300)
    expect(left).toBeLessThanOrEqual(400)
    await sleep(50)
    expect(stopped).toBe(true)
  })

  test("a caller's shorter deadline wins, a longer one does not", async () => {
    let left = 0
    ordersApp.answer = (call) => {
      left = Number(call.getDeadline()) - Date.now()
      return ok
    }
    await orders.call(createOrder, { deadlineMs: 150 })
    expect(left).toBeLessThanOrEqual(150)
    await orders.call(createOrder, { deadlineMs: 60_000 })
    expect(left).toBeLessThanOrEqual(400)
  })

  test('attempts are exactly those declared, for the declared reasons', async () => {
    inventoryApp.answer = () => (inventoryApp.seen < 3 ? unavailable : ok)
    expect(await inventory.call(checkStock)).toMatchObject({ code: ok })
    expect(inventoryApp.seen).toBe(3)
    inventoryApp.seen = 0
    inventoryApp.answer = () => unavailable
    expect(await inventory.call(checkStock)).toMatchObject({ code: unavailable })
    expect(inventoryApp.seen).toBe(3)
    inventoryApp.seen = 0
    inventoryApp.answer = () => 3
    expect(await inventory.call(checkStock)).toMatchObject({ code: 3 })
    expect(inventoryApp.seen).toBe(1)
    ordersApp.answer = () => unavailable
    expect(await orders.call(createOrder)).toMatchObject({ code: unavailable })
    expect(ordersApp.seen).toBe(1)
  })

  test('a caller cannot command its sidecar with headers', async () => {
    inventoryApp.answer = () => unavailable
    // An address from inside is what Envoy may trust a caller for.
    const inside = { 'x-forwarded-for': '127.0.0.1' }
    await inventory.call(checkStock, { headers: { ...inside, 'x-envoy-max-retries': '9' } })
    expect(inventoryApp.seen).toBe(3)
    inventoryApp.answer = async () => {
      await sleep(100)
      return ok
    }
    const commands = { 'x-envoy-upstream-rq-per-try-timeout-ms': '20', 'x-envoy-upstream-rq-timeout-ms': '50' }
    const headers = { ...inside, ...commands }
    expect(await inventory.call(checkStock, { headers })).toMatchObject({ code: ok })
  })

  test('an attempt that hangs is ended by its own timeout and another one made', async () => {
    inventoryApp.answer = async () => {
      if (inventoryApp.seen === 1) await sleep(1_200)
      return ok
    }
    const outcome = await inventory.call(checkStock)
    expect(outcome).toMatchObject({ code: ok })
    expect(outcome.ms).toBeGreaterThan(580)
    expect(inventoryApp.seen).toBe(2)
  })

  test('the retry budget bites when everything fails', async () => {
    inventoryApp.answer = async () => {
      await sleep(20)
      return unavailable
    }
    await Promise.all(Array.from({ length: 40 }, () => inventory.call(checkStock)))
    expect(inventoryApp.seen).toBeLessThan(80)
    expect(await counter(bed.layout, 'front', 'cluster.call/inventory.upstream_rq_retry_overflow')).toBeGreaterThan(20)
  })
})

describe('limits', () => {
  test('what exceeds the concurrency is refused at once', async () => {
    ordersApp.answer = async () => {
      await sleep(200)
      return ok
    }
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => orders.call(createOrder)))
    const refused = outcomes.filter(({ code }) => code === unavailable)
    expect(refused).toHaveLength(6)
    expect(Math.max(...refused.map(({ ms }) => ms))).toBeLessThan(100)
    expect(ordersApp.seen).toBe(4)
  })

  test('after 5 failures the 6th call fails at once, and calls pass again after the open time', async () => {
    ordersApp.answer = () => unavailable
    for (let call = 0; call < 5; call++)
      expect(await orders.call(createOrder)).toMatchObject({ details: 'answered 14' })
    await sleep(ejectionMs)
    const sixth = await orders.call(createOrder)
    expect(sixth).toMatchObject({ code: unavailable, details: 'no healthy upstream' })
    expect(sixth.ms).toBeLessThan(50)
    expect(ordersApp.seen).toBe(5)
    ordersApp.answer = () => ok
    await sleep(1_200)
    expect(await orders.call(createOrder)).toMatchObject({ code: ok })
  })

  test('a callee that hangs opens the breaker too, though the caller gives up first', async () => {
    ordersApp.answer = async () => {
      await sleep(500)
      return ok
    }
    const details: string[] = []
    while (details.length < 10 && details.at(-1) !== 'no healthy upstream')
      details.push((await orders.call(createOrder, { deadlineMs: 100 })).details)
    expect(details.at(-1)).toBe('no healthy upstream')
    expect(ordersApp.seen).toBeGreaterThanOrEqual(5)
    await sleep(2_200)
  })

  test('a callee that is not there: refused 5 times, then at once', async () => {
    const haunt = () => http(site('front').outboundSocket, 'GET /haunt', { headers: { host: 'ghost' } })
    for (let call = 0; call < 5; call++) expect((await haunt()).text).toContain('connect')
    await sleep(ejectionMs)
    const sixth = await haunt()
    expect(sixth).toMatchObject({ status: 503, text: 'no healthy upstream' })
    expect(sixth.ms).toBeLessThan(50)
  })

  test("beyond a service's rate callers see RESOURCE_EXHAUSTED", async () => {
    await sleep(1_000)
    const outcomes = []
    for (let call = 0; call < 70; call++) outcomes.push(await orders.call(createOrder))
    const codes = outcomes.map(({ code }) => code)
    expect(new Set(codes)).toEqual(new Set([ok, exhausted]))
    expect(codes.filter((code) => code === ok).length).toBeGreaterThanOrEqual(40)
  })
})

describe('change while running', () => {
  const reload = async (service: string, faults: readonly Fault[] = []) => {
    await sidecarFiles(bed.plan, bed.layout, service, faults)
    await sleep(150)
  }
  const edge = { from: 'front', to: 'inventory', path: checkStock, percent: 100 } as const

  test('a fault at the caller comes and goes', async () => {
    await reload('front', [{ ...edge, at: 'caller', effect: { kind: 'abort', status: 'internal' } }])
    expect(await inventory.call(checkStock)).toMatchObject({ code: 13 })
    expect(inventoryApp.seen).toBe(0)
    await reload('front')
    expect(await inventory.call(checkStock)).toMatchObject({ code: ok })
  })

  test('a fault at the callee hits the one caller that it names', async () => {
    const effect = { kind: 'delay', delayMs: 200 } as const
    await reload('inventory', [{ ...edge, at: 'callee', effect }])
    const slow = await inventory.call(checkStock)
    expect(slow.ms).toBeGreaterThan(190)
    await reload('inventory', [{ ...edge, from: 'orders', to: 'inventory', at: 'callee', effect }])
    expect((await inventory.call(checkStock)).ms).toBeLessThan(150)
    await reload('inventory')
  })

  test('certificates and their authority rotate under load without a failed call; the old ones are refused', async () => {
    const before = papersOf(site('front').certs)
    const outcomes: number[] = []
    let rotating = true
    const load = Array.from({ length: 4 }, async () => {
      while (rotating) {
        const caller = grpcCaller(site('front').outboundSocket, 'inventory')
        outcomes.push((await caller.call(checkStock)).code)
        caller.close()
        await sleep(10)
      }
    })
    const knocks = (async () => {
      while (rotating)
        outcomes.push(Number(await knock(site('inventory').inbound, checkStock, papersOf(site('front').certs))))
    })()
    expect(await knock(site('inventory').inbound, checkStock, before)).toBe(String(ok))
    await rotateCertificates(bed.plan, bed.layout, { authority: true, settle: () => sleep(300) })
    rotating = false
    await Promise.all([...load, knocks])
    expect(outcomes.length).toBeGreaterThan(50)
    expect(outcomes.filter((code) => code !== ok)).toEqual([])
    expect(await knock(site('inventory').inbound, checkStock, before)).toBe('refused')
    const { serialNumber } = new X509Certificate(papersOf(site('front').certs).cert)
    expect(await administration(bed.layout, 'front', '/certs')).toContain(serialNumber.toLowerCase())
  })
})

describe('outside', () => {
  const place = (
    options: { headers?: Record<string, string>; body?: string; from?: string } = {},
    line = 'POST /api/v1/orders',
  ) => {
    const { edge } = site('front')
    if (!edge) throw new Error('front has no edge')
    return http(edge, line, options)
  }

  test('exactly the exposed routes are there; what is refused is a problem document', async () => {
    expect((await place({ body: '{}' })).status).toBe(200)
    expect((await place({}, 'GET /api/v1/orders/o-1')).status).toBe(200)
    const unknown = await place({}, 'GET /admin')
    expect(unknown).toMatchObject({ status: 404, headers: { 'content-type': 'application/problem+json' } })
    expect(JSON.parse(unknown.text)).toMatchObject({
      status: 404,
      code: 'route-not-found',
      detail: 'There is no such path.',
    })
    expect(await place({}, 'DELETE /api/v1/orders')).toMatchObject({ status: 405, headers: { allow: 'POST' } })
    expect((await place({}, 'GET /api/v1/orders/a%2Fb')).status).toBe(400)
    expect((await place({ headers: { user_id: '1' } })).status).toBe(400)
  })

  test("a stranger's claims do not reach the application, and each request gets an id", async () => {
    const headers = {
      'x-forwarded-client-cert': 'URI=spiffe://x',
      'x-envoy-retry-on': '5xx',
      'x-request-id': 'mine',
      'x-parley-timeout-ms': '1',
    }
    const seen = JSON.parse((await place({ headers, body: '{}' })).text).headers
    expect(Object.keys(seen)).not.toContain('x-forwarded-client-cert')
    expect(Object.keys(seen)).not.toContain('x-envoy-retry-on')
    expect(Object.keys(seen)).not.toContain('x-envoy-internal')
    expect(seen['x-parley-timeout-ms']).toBe('10000')
    expect(seen['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('a body over the limit is refused with 413, one under it passes', async () => {
    expect((await place({ body: 'x'.repeat(1_000) })).status).toBe(200)
    expect((await place({ body: 'x'.repeat(2_000) })).status).toBe(413)
  })

  test('beyond its rate a client sees 429, and leaves what is left to the others, until all is used up', async () => {
    // Both buckets are full again after a second and a third.
    await sleep(1_400)
    const flood = (from: string, count: number, headers = {}) =>
      Promise.all(Array.from({ length: count }, () => place({ body: '{}', from, headers })))
    const passed = (answers: readonly { status: number }[]) => answers.filter(({ status }) => status === 200).length
    const first = await flood('127.0.0.2', 60)
    expect(passed(first)).toBeGreaterThanOrEqual(15)
    expect(passed(first)).toBeLessThan(20)
    expect(first.find(({ status }) => status === 429)).toMatchObject({
      headers: {
        'content-type': 'application/problem+json',
        'retry-after': '1',
        'x-ratelimit-limit': expect.anything(),
      },
      text: expect.stringContaining('"code":"rate-limited"'),
    })
    // Who has used up its own cannot be someone else by saying so.
    expect(passed(await flood('127.0.0.2', 4, { 'x-forwarded-for': '192.0.2.7' }))).toBeLessThan(2)
    const second = await flood('127.0.0.3', 20)
    expect(passed(second)).toBeGreaterThanOrEqual(4)
    expect(passed(second)).toBeLessThan(15)
  })

  test('metrics are all that the metrics port gives', async () => {
    const { metrics } = site('front')
    expect((await http(metrics, 'GET /stats/prometheus')).text).toContain('envoy_cluster_upstream_rq_total')
    expect((await http(metrics, 'GET /metrics')).status).toBe(200)
    for (const line of ['GET /', 'GET /config_dump', 'POST /quitquitquit', 'GET /certs'])
      expect((await http(metrics, line)).status).toBe(404)
  })

  test('systems outside are reached by declared routes only', async () => {
    const { bank, mail } = bed.layout.externals
    if (!bank || !mail) throw new Error('no externals')
    closing.push(await fakeHttp(bank.listen))
    const reach = (line: string) => http(site('front').outboundSocket, line, { headers: { host: 'bank.example' } })
    expect((await reach('PUT /charges/c-1')).status).toBe(200)
    expect((await reach('GET /charges/c-1')).status).toBe(403)
    const echo = createServer((socket) => socket.end('220 mail'))
    closing.push(
      await new Promise((resolve) => echo.listen(mail.listen.port, mail.listen.address, () => resolve(echo))),
    )
    const greeting = await new Promise((resolve, reject) => {
      tcpConnect(site('front').egressSockets.mail ?? '')
        .on('data', (data) => resolve(String(data)))
        .on('error', reject)
    })
    expect(greeting).toBe('220 mail')
  })
})

function authorityFiles(): { cert: string; key: string; authority: string } {
  const file = (name: string) => join(bed.layout.certsDir, 'authority', name)
  return { cert: file('cert.pem'), key: file('key.pem'), authority: file('ca.pem') }
}
