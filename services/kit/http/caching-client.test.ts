import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '../app/app-fixture.ts'
import { withDeadline } from '../deadline.ts'
import { ServiceError } from '../errors.ts'
import { openCacheStore } from './cache-store.ts'
import { cachingClient } from './caching-client.ts'
import type { RestAnswer } from './client.ts'
import { type RestRequest, type RestResponse, restServer } from './server.ts'

const api = rest('goods-api', {
  show: 'GET /goods/{id}',
  put: 'PUT /goods/{id}',
  strict: 'GET /strict/{id}',
  brief: 'GET /brief/{id}',
})
const goods = service('goods', { exposes: [api] })
const reader = service('reader', {
  edges: [
    calls(api, ['show', 'put'], { deadlineMs: 5_000, fallback: true }),
    calls(api, ['strict'], { deadlineMs: 5_000 }),
    calls(api, ['brief'], { deadlineMs: 300, fallback: true }),
  ],
})

const sockets = socketFolder()
const address = sockets.at('goods')
const app = testApp(goods, { listen: address })
const configuration = { calls: { 'goods-api': { callee: 'goods', address } } }

type Handle = (request: Pick<RestRequest<string, unknown>, 'headers'> & { id: string }) => Promise<RestResponse>
let handle: Handle
let asked: string[]
let nowMs = Date.now()
let client: ReturnType<typeof cachingClient<typeof reader, typeof api>>

beforeAll(async () => {
  jest.spyOn(Date, 'now').mockImplementation(() => nowMs)
  const handler = ({ params, headers }: Pick<RestRequest<'GET /goods/{id}', unknown>, 'params' | 'headers'>) => {
    asked.push(`${params.id}${headers['if-none-match'] ? ` unless ${headers['if-none-match']}` : ''}`)
    return handle({ id: params.id, headers })
  }
  await app.add(
    'rest',
    restServer(app, api, { show: { handler }, put: { handler }, strict: { handler }, brief: { handler } }),
  )
})
beforeEach(() => {
  asked = []
  client = cachingClient(testApp(reader, configuration), api)
})
afterAll(async () => {
  jest.restoreAllMocks()
  await app.stop()
  sockets.remove()
})

const withHeaders = (headers: Record<string, string>, body: unknown = { n: 1 }): RestResponse => ({
  status: 200,
  body,
  headers,
})
const always =
  (headers: Record<string, string>, body?: unknown): Handle =>
  async () =>
    withHeaders(headers, body)
const show = (id: string, headers: Record<string, string> = {}) => client.show({ params: { id }, headers })
const later = (seconds: number) => {
  nowMs += seconds * 1_000
}
const told = ({ headers, body }: RestAnswer) => [String(headers['cache-status']).replace('reader; ', ''), body]

test('what is fresh is not asked for; what is stale is asked for by its tag, and sent where it changed', async () => {
  handle = always({ etag: '"1"', 'cache-control': 'max-age=10' })
  expect(told(await show('a'))).toEqual(['fwd=miss', { n: 1 }])
  later(9)
  const hit = await show('a')
  expect(told(hit)).toEqual(['hit', { n: 1 }])
  expect(hit.headers.age).toBe('9')
  later(2)
  expect(told(await show('a'))).toEqual(['fwd=stale; fwd-status=304', { n: 1 }])
  expect(told(await show('a'))[0]).toBe('hit')
  later(11)
  handle = always({ etag: '"2"', 'cache-control': 'max-age=10' }, { n: 2 })
  expect(told(await show('a'))).toEqual(['fwd=miss', { n: 2 }])
  expect(asked).toEqual(['a', 'a unless "1"', 'a unless "1"'])
})

test('what may be stale for a while is given at once, and renewed for the next', async () => {
  handle = always({ etag: '"1"', 'cache-control': 'max-age=10, stale-while-revalidate=10' })
  await show('a')
  later(11)
  const { promise, resolve } = Promise.withResolvers<void>()
  handle = async () => {
    await promise
    return withHeaders({ etag: '"2"', 'cache-control': 'max-age=10' }, { n: 2 })
  }
  expect(told(await show('a'))).toEqual(['hit; detail=stale-while-revalidate', { n: 1 }])
  resolve()
  later(10)
  expect(told(await show('a'))).toEqual(['fwd=miss; collapsed', { n: 2 }])
  expect(asked).toHaveLength(2)
})

describe('a callee that cannot be had', () => {
  const fails: Handle = () => Promise.reject(new ServiceError('unavailable', 'Not now.'))
  const breaks: Handle = () => Promise.reject(new Error('broken'))

  test.each([
    ['refuses', 'show', fails],
    ['breaks', 'show', breaks],
    ['hangs', 'brief', () => new Promise<never>(() => undefined)],
  ] as const)('and %s is stood in for by an old answer, as long as that may be old', async (_what, method, failing) => {
    const ask = () => client[method]({ params: { id: 'a' } })
    handle = always({ etag: '"1"', 'cache-control': 'max-age=10, stale-if-error=60' })
    await ask()
    later(60)
    handle = failing
    expect(told(await ask())).toEqual(['hit; detail=stale-if-error', { n: 1 }])
    later(11)
    const late = await ask().catch(({ code }: ServiceError) => code)
    expect(late).toEqual(failing === breaks ? expect.objectContaining({ status: 500 }) : expect.any(String))
  })

  test.each([
    ['where the edge has no fallback', 'max-age=10, stale-if-error=60', 'strict'],
    ['where the answer forbids it', 'max-age=10, stale-if-error=60, must-revalidate', 'show'],
    ['where the answer does not allow it', 'max-age=10', 'show'],
  ] as const)('is not stood in for %s', async (_where, control, method) => {
    handle = always({ etag: '"1"', 'cache-control': control })
    await client[method]({ params: { id: 'a' } })
    later(11)
    handle = fails
    await expect(client[method]({ params: { id: 'a' } })).rejects.toMatchObject({ code: 'unavailable' })
  })
})

test('equal requests at once are one, and go on though the first to ask has left', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  handle = async () => {
    await promise
    return withHeaders({ 'cache-control': 'max-age=10' })
  }
  const first = withDeadline(30, () => show('a'))
  const others = [show('a'), show('a'), show('b')]
  await expect(first).rejects.toMatchObject({ code: 'deadline-exceeded' })
  resolve()
  expect((await Promise.all(others)).map((answer) => told(answer)[0])).toEqual([
    'fwd=miss; collapsed',
    'fwd=miss; collapsed',
    'fwd=miss',
  ])
  expect(asked.sort()).toEqual(['a', 'b'])
})

test.each(['authorization', 'x-tenant'])('nobody gets what was for another %s', async (name) => {
  handle = async ({ headers }) => withHeaders({ 'cache-control': 'max-age=10' }, headers[name])
  const as = async (who: string) => (await show('a', { [name]: who })).body
  expect([await as('ann'), await as('bob'), await as('ann')]).toEqual(['ann', 'bob', 'ann'])
  expect((await show('a')).body).toEqual({ n: 1 })
})

test.each(['private, max-age=10', 'no-store', 'max-age=0', ''])('an answer with "%s" is not kept', async (control) => {
  handle = always({ 'cache-control': control })
  await show('a')
  expect(told(await show('a'))[0]).toBe('fwd=miss')
})

test.each(['*', 'x-correlation-id'])('an answer that varies by %s is not kept', async (vary) => {
  handle = always({ 'cache-control': 'max-age=10', vary })
  await show('a')
  expect(told(await show('a'))[0]).toBe('fwd=miss')
})

test('a caller with a condition of its own hears the callee', async () => {
  handle = always({ etag: '"1"', 'cache-control': 'max-age=10' })
  await show('a')
  expect((await show('a', { 'If-None-Match': '"1"' })).status).toBe(304)
  expect(asked).toHaveLength(2)
})

test('a change forgets what was kept of it, and what is under way is not kept', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  let version = 1
  handle = async ({ id }) => {
    const read = version
    if (id === 'slow' && read === 1) {
      arrived.resolve()
      await promise
    }
    return withHeaders({ 'cache-control': 'max-age=10' }, { read })
  }
  await Promise.all([show('a'), show('b')])
  const slow = show('slow')
  await arrived.promise
  version = 2
  for (const id of ['a', 'slow']) await client.put({ params: { id } })
  resolve()
  expect((await slow).body).toEqual({ read: 1 })
  expect((await Promise.all([show('a'), show('b'), show('slow')])).map(({ body }) => body)).toEqual([
    { read: 2 },
    { read: 1 },
    { read: 2 },
  ])
})

test('a body that is shared cannot be changed', async () => {
  handle = always({ 'cache-control': 'max-age=10' }, { list: [{ n: 1 }] })
  await show('a')
  const { list } = (await show('a')).body as { list: { n: number }[] }
  expect(() => list.push({ n: 2 })).toThrow(TypeError)
})

describe('a store', () => {
  const kept = { status: 200, body: {} } as Parameters<ReturnType<typeof openCacheStore>['set']>[1]

  test('holds so many answers, and gives up what was not used for longest', () => {
    const store = openCacheStore({ entriesMax: 2 })
    for (const key of ['a', 'b']) store.set(key, kept, 1)
    store.get('a')
    store.set('c', kept, 1)
    expect(store.keys()).toEqual(['a', 'c'])
  })

  test('holds so many bytes, however often an answer is replaced', () => {
    const store = openCacheStore({ bytesMax: 100 })
    for (let n = 0; n < 10; n += 1) store.set('a', kept, 40)
    store.set('b', kept, 60)
    expect(store.keys()).toEqual(['a', 'b'])
    store.set('c', kept, 41)
    expect(store.keys()).toEqual(['c'])
    store.set('too large', kept, 101)
    expect(store.keys()).toEqual(['c'])
  })
})
