/** The shop on its real parts, as a customer and an operator meet it. One stack for all of it. */
import { randomUUID } from 'node:crypto'
import { lstatSync, readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { seenInMemory, verifyWebhook } from '#kit/webhooks/verify.ts'
import { withPostgres } from '#local/parts/access-fixture.ts'
import { eventually, type Stack, startShop, startTimeoutMs } from '../stack.ts'
import { chargesOf, emailsAbout, getOrder, orderIn, placeOrder, request } from './client.ts'

let shop: Stack
beforeAll(async () => {
  shop = await startShop(11)
}, startTimeoutMs)
afterAll(async () => shop?.stop(), 60_000)

describe('a quote for a parcel', () => {
  test('is asked of shipping over a queue, and its refusals come back in the words of the gateway', async () => {
    const ask = (query: string) => request(`${shop.url}/api/v1/quotes?${query}`)
    expect(await ask('country=DE&weightGrams=1500')).toMatchObject({
      status: 200,
      body: { country: 'DE', price: { currency: 'EUR', minorUnits: 510 }, daysMin: 1, daysMax: 2 },
    })
    expect(await ask('country=XX&weightGrams=1')).toMatchObject({ status: 404, body: { code: 'not-found' } })
    expect(await ask('country=DE&weightGrams=99999')).toMatchObject({
      status: 400,
      body: { code: 'invalid-argument', errors: [{ field: 'query:weightGrams' }] },
    })
  })
})

describe('the catalogue', () => {
  test('is shown with a tag that is good from end to end, at the prices that orders take', async () => {
    const page = await request(`${shop.url}/api/v1/products`)
    const products = page.body.products as { productId: string; price: { currency: string; minorUnits: number } }[]
    const { rows } = await withPostgres(shop.layout, 'orders', 'orders', (client) =>
      client.query('SELECT product_id, currency, minor_units::int FROM price ORDER BY product_id'),
    )
    expect(
      products.map(({ productId, price }) => ({
        product_id: productId,
        currency: price.currency,
        minor_units: price.minorUnits,
      })),
    ).toEqual(rows)
    const product = () => request(`${shop.url}/api/v1/products/p-1`)
    const etag = (await product()).headers.get('etag') ?? ''
    const again = await request(`${shop.url}/api/v1/products/p-1`, { headers: { 'if-none-match': etag } })
    expect([again.status, again.headers.get('etag')]).toEqual([304, etag])
  }, 60_000)
})

describe('a customer', () => {
  test('is welcomed once, and their orders are written of to the address that they registered', async () => {
    const edge = shop.layout.services.customers?.edge
    const key = randomUUID()
    const register = () =>
      request(`http://${edge?.address}:${edge?.port}/api/v1/customers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ name: 'Ann Example', emailAddress: 'Ann@mail.example' }),
      })
    const [first, second] = [await register(), await register()]
    expect([first.status, second.body]).toEqual([201, first.body])
    const welcomes = () => emailsAbout(shop, 'Welcome')
    expect(await eventually(welcomes, (found) => found.length > 0)).toMatchObject([{ to: ['Ann@mail.example'] }])
    const { body } = await placeOrder(shop, { customerId: String(first.body.customerId) })
    const news = await eventually(
      () => emailsAbout(shop, String(body.orderId)),
      (found) => found.length === 2,
    )
    expect(news.map(({ to }) => to)).toEqual([['Ann@mail.example'], ['Ann@mail.example']])
    expect(await welcomes()).toHaveLength(1)
  }, 60_000)
})

describe('an order', () => {
  test('is accepted, confirmed, shipped, and its news reach the customer', async () => {
    const placed = await placeOrder(shop, { quantity: 2 })
    expect(placed).toMatchObject({
      status: 201,
      body: { status: 'placed', stockCheck: 'available', total: { currency: 'EUR', minorUnits: 1498 } },
    })
    expect(placed.headers.get('location')).toBe(`/api/v1/orders/${placed.body.orderId}`)
    const { trackingNumber } = await orderIn(shop, placed.body.orderId, 'shipped')
    expect(trackingNumber).toMatch(/^PLY[0-9A-F]{12}$/)
    const emails = await eventually(
      () => emailsAbout(shop, String(placed.body.orderId)),
      (found) => found.length === 2,
    )
    expect(emails.map(({ subject }) => subject.replace(String(placed.body.orderId), 'ID')).sort()).toEqual([
      'Your order ID is confirmed',
      'Your order ID is on its way',
    ])
    expect(await chargesOf(shop)).toContainEqual(
      expect.objectContaining({
        id: `pay-${placed.body.orderId}`,
        status: 'captured',
        amount: { currency: 'EUR', minorUnits: 1498 },
      }),
    )
  }, 60_000)

  test('of a declined card is cancelled, and its stock is free again', async () => {
    const { body } = await placeOrder(shop, { productId: 'p-9', quantity: 10, paymentMethod: 'card-declined' })
    expect(await orderIn(shop, body.orderId, 'cancelled')).toMatchObject({ cancelReason: 'card declined' })
    // All ten of p-9 were set aside for the first; a second order for all ten finds them again.
    const second = await eventually(
      () => placeOrder(shop, { productId: 'p-9', quantity: 10 }),
      ({ status }) => status === 201,
    )
    await orderIn(shop, second.body.orderId, 'shipped')
    expect(await emailsAbout(shop, `${body.orderId} was cancelled`)).toHaveLength(1)
  }, 60_000)

  test('whose payment reply is lost is charged once', async () => {
    const before = new Set((await chargesOf(shop)).map(({ id }) => id))
    const { body } = await placeOrder(shop, { paymentMethod: 'card-lost' })
    await orderIn(shop, body.orderId, 'shipped')
    const charged = (await chargesOf(shop)).filter(({ id }) => !before.has(id))
    expect(charged.map(({ id }) => id)).toEqual([`pay-${body.orderId}`])
  }, 60_000)

  test('is the same for the same key, and a key cannot stand for two', async () => {
    const key = `key-${Date.now()}`
    const answers = await Promise.all(Array.from({ length: 8 }, () => placeOrder(shop, { key })))
    expect(new Set(answers.map(({ body }) => body.orderId)).size).toBe(1)
    expect(answers.every(({ status }) => status === 201)).toBe(true)
    expect(await placeOrder(shop, { key, quantity: 3 })).toMatchObject({
      status: 422,
      body: { code: 'idempotency-key-reused' },
    })
  })

  test('of more than there is, is refused with the line at fault', async () => {
    expect(await placeOrder(shop, { productId: 'p-9', quantity: 500 })).toMatchObject({
      status: 409,
      body: { code: 'failed-precondition', errors: [{ field: 'items[0].quantity', code: 'out-of-stock' }] },
    })
  })
})

describe('a subscriber outside', () => {
  test('is told of an order, signed, and nothing inside can be subscribed', async () => {
    const taken: { type: string; data: { orderId: string } }[] = []
    const receiver = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const body = Buffer.concat(chunks).toString()
      await verifyWebhook({ headers: request.headers, body, secrets: [secret], seen: seenInMemory() })
      taken.push(JSON.parse(body))
      response.writeHead(204).end()
    })
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
    const { port } = receiver.address() as AddressInfo
    const edge = shop.layout.services.webhooks?.edge
    const subscribe = (url: string) =>
      request(`http://${edge?.address}:${edge?.port}/api/v1/webhooks`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': url },
        body: JSON.stringify({ url, types: ['order.placed', 'order.shipped'] }),
      })
    const made = await subscribe(`http://127.0.0.1:${port}/hook`)
    const secret = String(made.body.secret)
    expect(made).toMatchObject({ status: 201, body: { state: 'active' } })
    for (const inside of [`http://${shop.layout.host}:9090/`, `https://${shop.layout.kafka.address}/`]) {
      expect(await subscribe(inside)).toMatchObject({ status: 400, body: { errors: [{ field: 'url' }] } })
    }
    const { body } = await placeOrder(shop, {})
    const told = () => Promise.resolve(taken.filter(({ data }) => data.orderId === body.orderId))
    const types = (await eventually(told, (found) => found.length === 2)).map(({ type }) => type)
    expect(types.sort()).toEqual(['order.placed', 'order.shipped'])
    receiver.close()
    receiver.closeAllConnections()
  }, 60_000)
})

describe('bad input', () => {
  const json = { 'content-type': 'application/json', 'idempotency-key': 'bad' }
  const item = { productId: 'p-1', quantity: 1 }
  test.each([
    ['no JSON', '{"customerId":', json, 400],
    ['an unknown product', JSON.stringify({ customerId: 'c', items: [{ productId: 'nope', quantity: 1 }] }), json, 400],
    ['zero', JSON.stringify({ customerId: 'c', items: [{ productId: 'p-1', quantity: 0 }] }), json, 400],
    ['less than nothing', JSON.stringify({ customerId: 'c', items: [{ productId: 'p-1', quantity: -1 }] }), json, 400],
    ['half a piece', JSON.stringify({ customerId: 'c', items: [{ productId: 'p-1', quantity: 0.5 }] }), json, 400],
    ['no items', JSON.stringify({ customerId: 'c', items: [] }), json, 400],
    ['a field that nobody knows', JSON.stringify({ customerId: 'c', items: [item], admin: true }), json, 400],
    ['a zero byte', JSON.stringify({ customerId: 'a\u0000b', items: [item] }), json, 400],
    ['an address for a name', JSON.stringify({ customerId: 'victim@evil.example,x', items: [item] }), json, 400],
    [
      'no idempotency key',
      JSON.stringify({ customerId: 'c', items: [item] }),
      { 'content-type': 'application/json' },
      400,
    ],
    ['another media type', '<order/>', { ...json, 'content-type': 'application/xml' }, 415],
    ['two megabytes', JSON.stringify({ customerId: 'c'.repeat(2 * 1024 * 1024), items: [item] }), json, 413],
  ])('%s is a problem document with a code, and nothing is written', async (_name, body, headers, status) => {
    const before = await ordersKept()
    const answer = await request(`${shop.url}/api/v1/orders`, { method: 'POST', headers, body })
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(answer.body).toMatchObject({ status, code: expect.stringMatching(/^[a-z-]+$/) })
    expect(await ordersKept()).toBe(before)
  })

  test('an order that does not exist is 404', async () => {
    expect(await getOrder(shop, 'no-such-order')).toMatchObject({ status: 404, body: { code: 'not-found' } })
  })

  test('a route that does not exist is 404', async () => {
    expect(await request(`${shop.url}/api/v1/nothing`)).toMatchObject({ status: 404 })
  })
})

describe('the gateway', () => {
  const at = (path: string, headers: Record<string, string> = {}) => request(`${shop.url}${path}`, { headers })

  test('serves two versions, said in four ways; one key is one order in both', async () => {
    const key = randomUUID()
    const { body: first, headers } = await placeOrder(shop, { key, quantity: 2 })
    expect(headers.get('deprecation')).toMatch(/^@\d+$/)
    expect(headers.get('link')).toContain('successor-version')
    const second = await request(`${shop.url}/api/v2/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify({ customerId: 'c-1', lines: [{ productId: 'p-1', quantity: 2 }] }),
    })
    expect(second).toMatchObject({ status: 201, body: { orderId: first.orderId, total: { amount: '14.98' } } })
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    const order = `/orders/${first.orderId}`
    for (const [path, says] of [
      [`/api/v2${order}`, {}],
      [`/api${order}`, { accept: 'application/vnd.parley.v2+json' }],
      [`/api${order}`, { 'accept-version': '2' }],
      [`/api${order}?version=2`, {}],
    ] as const) {
      const shown = await at(path, says)
      expect([shown.headers.get('api-version'), shown.body.state]).toEqual(['v2', expect.anything()])
    }
    for (const [path, says] of [[`/api/v9${order}`], [`/api${order}`, { 'accept-version': '9' }]] as const)
      expect(await at(path, says)).toMatchObject({
        status: 400,
        body: { code: 'unknown-version', versions: ['v1', 'v2'] },
      })
  })

  test('puts a page together, which comes in time without the catalogue and says so', async () => {
    const page = async (id: unknown) => {
      const askedMs = performance.now()
      return { ...(await at(`/api/v2/orders/${id}/page`)), ms: performance.now() - askedMs }
    }
    const { body: whole } = await placeOrder(shop, { customerId: 'c-page' })
    // The history follows within moments.
    await eventually(
      () => page(whole.orderId),
      ({ body }) => (body.missing as unknown[]).length === 0,
    )
    expect((await at('/api/v2/orders?customerId=c-page&limit=1')).body.orders).toMatchObject([
      { orderId: whole.orderId },
    ])
    // Nobody has asked for these products together, so that no old answer stands in for them.
    const { body: other } = await placeOrder(shop, { productId: 'p-7' })
    expect((await shop.parley('stop', 'catalog')).code).toBe(0)
    try {
      for (let call = 0; call < 7; call++) {
        const { status, body, ms } = await page(other.orderId)
        expect([status, body.order, body.products]).toEqual([200, expect.anything(), null])
        expect(body.missing).toContainEqual({
          part: 'products',
          code: expect.stringMatching(/^(unavailable|deadline)/),
        })
        expect(ms).toBeLessThan(1_500)
      }
    } finally {
      expect((await shop.parley('start', 'catalog')).code).toBe(0)
    }
    await eventually(
      () => page(other.orderId),
      ({ body }) => (body.missing as unknown[]).length === 0,
    )
  }, 60_000)
})

describe('what is kept', () => {
  test('no password, key, certificate or socket can be read by others', () => {
    const { runDir, socketsDir, secretsDir, certsDir } = shop.layout
    const open = [runDir, socketsDir].flatMap((folder) => (statSync(folder).mode & 0o077 ? [folder] : []))
    const files = [secretsDir, certsDir, socketsDir].flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => join(entry.parentPath, entry.name)),
    )
    expect(files.length).toBeGreaterThan(40)
    const readable = files.filter((path) => lstatSync(path).isSymbolicLink() === false && statSync(path).mode & 0o077)
    // Postgres makes its own socket folder and runs as another user: the folders above it are closed to that user's peers.
    expect([...open, ...readable.filter((path) => !path.startsWith(join(socketsDir, 'postgres')))]).toEqual([])
  })
})

describe('what is seen', () => {
  test('one trace holds everybody who took part, through HTTP, gRPC, Kafka and RabbitMQ', async () => {
    const traceId = [...crypto.getRandomValues(new Uint8Array(16))]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
    const { body } = await request(`${shop.url}/api/v1/orders`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': traceId,
        traceparent: `00-${traceId}-00000000000000a1-01`,
      },
      body: JSON.stringify({ customerId: 'c-trace', items: [{ productId: 'p-2', quantity: 1 }] }),
    })
    await orderIn(shop, body.orderId, 'shipped')
    // Not fulfilment: it leaves alone what nobody asked it to lead, without a span.
    const wanted = ['analytics', 'gateway', 'inventory', 'notifications', 'orders', 'payments', 'shipping', 'webhooks']
    const services = async () => {
      const response = await fetch(`http://${shop.layout.host}:9411/api/v2/trace/${traceId}`)
      const spans = response.ok ? ((await response.json()) as { localEndpoint?: { serviceName?: string } }[]) : []
      return [...new Set(spans.map(({ localEndpoint }) => localEndpoint?.serviceName ?? ''))].sort()
    }
    const found = await eventually(services, (names) => wanted.every((name) => names.includes(name)))
    expect(found).toEqual(expect.arrayContaining(wanted))
  }, 60_000)

  test('Prometheus has rate, errors, duration, lag and outbox age of the services, and the sidecars', async () => {
    const names = async () => {
      const response = await fetch(`http://${shop.layout.host}:9090/api/v1/label/__name__/values`)
      return ((await response.json()) as { data: string[] }).data
    }
    const patterns = [
      /^rpc_server.*duration.*_bucket$/,
      /^http_server_request_duration.*_bucket$/,
      /lag/,
      /outbox.*age/,
      /^envoy_cluster_upstream_rq/,
      /^rabbitmq_queue_messages/,
    ]
    const found = await eventually(
      names,
      (all) => patterns.every((pattern) => all.some((name) => pattern.test(name))),
      45_000,
    )
    expect(patterns.filter((pattern) => !found.some((name) => pattern.test(name)))).toEqual([])
  }, 60_000)

  test('the API describes itself', async () => {
    expect((await request(`${shop.url}/openapi.json`)).body).toMatchObject({
      openapi: '3.1.0',
      paths: { '/api/v1/orders': { post: {} } },
    })
  })
})

/** How many orders the database holds, and how many keys: what bad input must leave as it is. */
async function ordersKept(): Promise<string> {
  const count =
    'SELECT (SELECT count(*) FROM kit.events WHERE version = 1) AS orders, (SELECT count(*) FROM idempotency) AS keys'
  const { rows } = await withPostgres(shop.layout, 'orders', 'orders', (client) => client.query(count))
  return JSON.stringify(rows)
}
