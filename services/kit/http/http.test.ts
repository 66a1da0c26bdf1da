import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { external, reaches } from '#graph/external.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '../app/app-fixture.ts'
import { correlationId, currentContext, runAsMessage } from '../context.ts'
import { remainingMs, withDeadline } from '../deadline.ts'
import { ServiceError } from '../errors.ts'
import { reach, restClient } from './client.ts'
import { readIdempotencyKey } from './idempotency.ts'
import type { Problem } from './problem.ts'
import { restServer } from './server.ts'

const api = rest('shop-api', { place: 'POST /orders', show: 'GET /orders/{id}' })
const bank = external('bank', {
  host: 'bank.example',
  port: 443,
  expectedLatencyMs: 300,
  routes: { show: 'GET /orders/{id}' },
})
const gateway = service('gateway', { exposes: [api] })
const visitor = service('visitor', {
  edges: [calls(api, ['place', 'show'], { deadlineMs: 400 }), reaches(bank)],
})

const sockets = socketFolder()
const address = sockets.at('gateway')
const app = testApp(gateway, { listen: address })
const caller = testApp(visitor, {
  calls: { 'shop-api': { callee: 'gateway', address } },
  reaches: { bank: { address, tls: false } },
})
const shop = restClient(caller, api)

/** What the handler of `show` does with an id. */
const shows: Record<string, () => Promise<unknown>> = {
  missing: () => Promise.reject(new ServiceError('not-found', 'There is no order missing.')),
  broken: () => Promise.reject(new Error('password of db is hunter2')),
  busy: () => Promise.reject(new ServiceError('overloaded', 'Too many.')),
  slow: () => new Promise(() => undefined),
  waiting: async () => ({ remainingMs: remainingMs(), correlationId: correlationId() }),
}

beforeAll(async () => {
  const orderLine = {
    type: 'object',
    required: ['quantity'],
    properties: { quantity: { type: 'integer', minimum: 1 } },
  } as const
  await app.add(
    'rest',
    restServer(
      app,
      api,
      {
        place: {
          body: {
            type: 'object',
            required: ['customerId', 'items'],
            properties: {
              customerId: { type: 'string', pattern: '^[^/]*$', description: 'Without slashes.' },
              items: { type: 'array', items: orderLine },
            },
          },
          async handler({ body, headers }) {
            const key = readIdempotencyKey(headers['idempotency-key'])
            return {
              status: 201,
              body: { key, customer: body.customerId, pieces: body.items.map((item) => item.quantity) },
            }
          },
        },
        show: { handler: async ({ params }) => ({ status: 200, body: await shows[params.id]?.() }) },
      },
      { deadlineMs: 250, bodyBytesMax: 2_000 },
    ),
  )
})
afterAll(async () => {
  await app.stop()
  sockets.remove()
})

type Answer = {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Problem & Record<string, unknown>
}

function send(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ socketPath: address.path, method, path, headers }, async (response) => {
      const text = (await response.toArray()).join('')
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) })
    })
    sent.on('error', reject).end(body)
  })
}

const json = { 'content-type': 'application/json' }
const order = JSON.stringify({ customerId: 'c-1', items: [{ quantity: 2 }] })

describe('whatever is wrong is answered with a problem document', () => {
  test.each<[string, string, number, () => Promise<Answer>]>([
    ['an unknown route', 'route-not-found', 404, () => send('GET', '/nothing')],
    ['a method that a route does not take', 'method-not-allowed', 405, () => send('DELETE', '/orders/1')],
    ['a body that is no JSON', 'malformed-json', 400, () => send('POST', '/orders', '{"a":', json)],
    ['no body', 'malformed-json', 400, () => send('POST', '/orders', '', json)],
    [
      'a body of another type',
      'unsupported-media-type',
      415,
      () => send('POST', '/orders', '{}', { 'content-type': 'text/plain' }),
    ],
    [
      'a body too large',
      'body-too-large',
      413,
      () => send('POST', '/orders', JSON.stringify({ a: 'x'.repeat(3_000) }), json),
    ],
    [
      'a body that breaks its schema',
      'invalid-argument',
      400,
      () => send('POST', '/orders', '{"items":[{"quantity":0}]}', json),
    ],
    ['a missing idempotency key', 'invalid-argument', 400, () => send('POST', '/orders', order, json)],
    ['an escaped path that is none', 'malformed-request', 400, () => send('GET', '/orders/%zz')],
    ['an operating error', 'not-found', 404, () => send('GET', '/orders/missing')],
    ['a limit', 'overloaded', 503, () => send('GET', '/orders/busy')],
    ['a handler without an end', 'deadline-exceeded', 504, () => send('GET', '/orders/slow')],
    ['a fault of ours', 'internal', 500, () => send('GET', '/orders/broken')],
  ])('%s: %s', async (_what, code, status, ask) => {
    const { body, headers, ...answer } = await ask()
    expect(headers['content-type']).toContain('application/problem+json')
    expect({ ...answer, code: body.code, inBody: body.status }).toEqual({ status, code, inBody: status })
    expect(body.type).toBe(`urn:parley:problem:${code}`)
    expect(body.correlationId).toBe(headers['x-correlation-id'])
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  test('tells every field that is wrong, and where it is', async () => {
    const { body } = await send('POST', '/orders', '{"items":[{"quantity":1},{"quantity":"2"}]}', json)
    expect(body.errors).toEqual([
      expect.objectContaining({ field: 'customerId', pointer: '/customerId', code: 'required' }),
      expect.objectContaining({ field: 'items[1].quantity', pointer: '/items/1/quantity', code: 'type' }),
    ])
  })

  test('says in words what was to be given, not as a regular expression', async () => {
    const { body } = await send('POST', '/orders', '{"customerId":"a/b","items":[]}', json)
    expect(body.detail).toBe('customerId does not fit its description: Without slashes.')
  })

  test('even where it is no HTTP', async () => {
    const socket = connect(address.path)
    socket.write('NONSENSE\r\n\r\n')
    const text = (await socket.toArray()).join('')
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toContain('urn:parley:problem:malformed-request')
  })
})

describe('a request', () => {
  test('keeps a correlation id that is well-formed, and gets a new one otherwise', async () => {
    expect((await send('GET', '/nothing', undefined, { 'x-correlation-id': 'c-42' })).headers['x-correlation-id']).toBe(
      'c-42',
    )
    expect(
      (await send('GET', '/nothing', undefined, { 'x-correlation-id': 'a b' })).headers['x-correlation-id'],
    ).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('with a key of the largest size is taken, and one above is not', async () => {
    const place = (key: string) => send('POST', '/orders', order, { ...json, 'idempotency-key': key })
    expect((await place('k'.repeat(255))).body).toMatchObject({ customer: 'c-1', pieces: [2] })
    expect((await place('k'.repeat(256))).body.errors?.[0]?.field).toBe('header:idempotency-key')
  })

  test('is described by OpenAPI', async () => {
    const { body } = await send('GET', '/openapi.json')
    expect(Object.keys(body.paths as object)).toEqual(['/orders', '/orders/{id}'])
    expect((await send('GET', '/openapi/shop-api.json')).body).toEqual(body)
  })
})

describe('a typed caller', () => {
  test('sends what was given, the correlation id and how long it waits', async () => {
    const placed = await shop.place({ body: JSON.parse(order), headers: { 'idempotency-key': 'k-1' } })
    expect(placed).toMatchObject({ status: 201, body: { key: 'k-1' } })
    const shown = await runAsMessage('c-9', () => withDeadline(90, () => shop.show({ params: { id: 'waiting' } })))
    const body = shown.body as { remainingMs: number; correlationId: string }
    expect(body.correlationId).toBe('c-9')
    expect(body.remainingMs).toBeLessThanOrEqual(90)
  })

  test('gets problems as answers, and as errors where nobody could be asked', async () => {
    expect(await shop.show({ params: { id: 'missing' } })).toMatchObject({ status: 404, body: { code: 'not-found' } })
    await expect(shop.show({ params: { id: 'busy' } })).rejects.toMatchObject({ code: 'unavailable' })
    await expect(reach(caller, bank).show({ params: { id: 'slow' } })).rejects.toMatchObject({
      code: 'deadline-exceeded',
    })
    const nobody = testApp(visitor, { calls: { 'shop-api': { callee: 'gateway', address: sockets.at('nobody') } } })
    await expect(restClient(nobody, api).show({ params: { id: 'x' } })).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('ends at its deadline', async () => {
    const startedMs = performance.now()
    const call = withDeadline(60, () => shop.show({ params: { id: 'slow' } }))
    await expect(call).rejects.toMatchObject({ code: 'deadline-exceeded' })
    expect(performance.now() - startedMs).toBeLessThan(150)
    expect(currentContext()).toBeUndefined()
  })

  test('cannot leave its path', async () => {
    await expect(shop.show({ params: { id: '..' } })).rejects.toThrow('{id}')
    expect((await shop.show({ params: { id: '../nothing' } })).status).toBe(200)
  })
})
