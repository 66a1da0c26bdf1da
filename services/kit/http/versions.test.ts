import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '../app/app-fixture.ts'
import { invalidArgument } from '../errors.ts'
import { restServer } from './server.ts'
import { translation } from './translation.ts'

/** v1 has ended, v2 is on its way out, v3 and v4 are served; handlers speak v4. */
const api = rest(
  'shop-api',
  {
    place: 'POST /api/{version}/orders',
    show: 'GET /api/{version}/orders/{id}',
    list: 'GET /api/{version}/orders',
    news: 'GET /api/{version}/orders/{id}/news',
    health: 'GET /api/health',
  },
  {
    streams: ['news'],
    versions: {
      v1: { deprecated: '2020-01-01', sunset: '2021-01-01' },
      v2: { deprecated: '2024-06-30', sunset: '2999-12-31', lacks: ['list'] },
      v3: { lacks: ['list'] },
      v4: {},
    },
  },
)
const gateway = service('gateway', { exposes: [api] })
const sockets = socketFolder()
const address = sockets.at('gateway')
const app = testApp(gateway, { listen: address })
const count = { type: 'object', required: ['count'], properties: { count: { type: 'integer' } } } as const
const named = (name: string) =>
  ({
    type: 'object',
    required: [name],
    properties: { [name]: { type: 'integer' } },
    additionalProperties: false,
  }) as const

beforeAll(async () => {
  await app.add(
    'rest',
    restServer(app, api, {
      place: {
        body: count,
        versions: {
          v2: translation({
            body: named('n'),
            request: (body) => ({ amount: Number(body.n) }),
            answer: ({ amount }: { amount: number }) => ({ n: amount }),
            field: (field) => field.replace('amount', 'n'),
          }),
          v3: translation({
            body: named('amount'),
            request: (body) => ({ count: Number(body.amount) }),
            answer: (body: { count: number }) => ({ amount: body.count }),
            field: (field) => field.replace('count', 'amount'),
          }),
        },
        async handler({ body, path }) {
          const wrong = { field: 'count', code: 'range', message: 'is too much' }
          if (body.count > 9) throw invalidArgument('Too much.', wrong)
          return { status: 201, body: { count: body.count }, headers: { location: `${path}/1` } }
        },
      },
      show: { handler: async ({ params }) => ({ status: 200, body: params }) },
      list: {
        query: { type: 'object', additionalProperties: false, properties: { limit: { type: 'string' } } },
        handler: async ({ query }) => ({ status: 200, body: { query } }),
      },
      news: {
        versions: { v3: translation({ answer: (data: { count: number }) => ({ amount: data.count }) }) },
        handler: async () => ({
          status: 200,
          events: (async function* () {
            yield { data: { count: 1 } }
          })(),
        }),
      },
      health: { handler: async () => ({ status: 200, body: {} }) },
    }),
  )
})
afterAll(async () => {
  await app.stop()
  sockets.remove()
})

type Answer = { status: number; headers: Record<string, string | string[] | undefined>; text: string; body: unknown }

function send(line: string, headers: Record<string, string> = {}, body?: object): Promise<Answer> {
  const [method, path] = line.split(' ')
  const type = body ? { 'content-type': 'application/json' } : {}
  return new Promise((resolve, reject) => {
    const options = { socketPath: address.path, method, path, headers: { ...type, ...headers }, agent: false as const }
    const sent = httpRequest(options, async (response) => {
      const text = (await response.toArray()).join('')
      const json = String(response.headers['content-type']).includes('json')
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text,
        body: json && text !== '' ? JSON.parse(text) : text,
      })
    })
    sent.on('error', reject).end(body && JSON.stringify(body))
  })
}

const media = (version: string) => `application/vnd.parley.${version}+json`
const versionOf = async (line: string, headers: Record<string, string> = {}) => {
  const answer = await send(line, headers)
  const { code } = answer.body as { code?: string }
  return code ?? answer.headers['api-version']
}

describe('a version is said', () => {
  test.each<[string, string, Record<string, string>, string]>([
    ['by the path', 'GET /api/v3/orders/7', {}, 'v3'],
    ['by a media type', 'GET /api/orders/7', { accept: media('v3') }, 'v3'],
    ['by the type of a body', 'GET /api/orders/7', { 'content-type': media('v3') }, 'v3'],
    ['by a header', 'GET /api/orders/7', { 'accept-version': 'v3' }, 'v3'],
    ['by a header as a number', 'GET /api/orders/7', { 'accept-version': '3' }, 'v3'],
    ['by the query', 'GET /api/orders/7?version=3', {}, 'v3'],
    ['by nothing: the oldest that is served', 'GET /api/orders/7', {}, 'v2'],
    ['by nothing: the oldest that has the route', 'GET /api/orders', {}, 'v4'],
    ['by an empty word', 'GET /api/orders/7?version=', {}, 'v2'],
    ['by the path before all', 'GET /api/v4/orders/7?version=2', { accept: media('v3'), 'accept-version': '2' }, 'v4'],
    ['by the path, where another says none', 'GET /api/v4/orders/7?version=x', {}, 'v4'],
    ['by the media type before a header', 'GET /api/orders/7', { accept: media('v4'), 'accept-version': '3' }, 'v4'],
    ['by a header before the query', 'GET /api/orders/7?version=4', { 'accept-version': '3' }, 'v3'],
    ['by the type liked best', 'GET /api/orders/7', { accept: `${media('v3')};q=0.5, ${media('v4')}` }, 'v4'],
    ['by the type that we have', 'GET /api/orders/7', { accept: `${media('v9')}, ${media('v3')};q=0.1` }, 'v3'],
    ['by none, with a type that will do', 'GET /api/orders/7', { accept: `${media('v9')}, */*;q=0.1` }, 'v2'],
  ])('%s', async (_how, line, headers, version) => {
    expect(await versionOf(line, headers)).toBe(version)
  })

  test.each<[string, string, Record<string, string>, string[]]>([
    ['in the path', 'GET /api/v9/orders/7', {}, ['v2', 'v3', 'v4']],
    ['in the path, and a word', 'GET /api/latest/orders/7', {}, ['v2', 'v3', 'v4']],
    ['in the path, where an id would do as well', 'GET /api/orders/orders', {}, ['v2', 'v3', 'v4']],
    ['by media type', 'GET /api/orders/7', { accept: media('v9') }, ['v2', 'v3', 'v4']],
    ['by header', 'GET /api/orders/7', { 'accept-version': '1.0' }, ['v2', 'v3', 'v4']],
    ['by header, and elsewhere', 'GET /api/orders/7', { 'accept-version': '../v4' }, ['v2', 'v3', 'v4']],
    ['by query', 'GET /api/orders/7?version=__proto__', {}, ['v2', 'v3', 'v4']],
    ['of a list', 'GET /api/v9/orders', {}, ['v2', 'v3', 'v4']],
  ])('that is unknown, %s: 400 with those that are served', async (_how, line, headers, versions) => {
    const { status, body, headers: answered } = await send(line, headers)
    expect({ status, body }).toMatchObject({ status: 400, body: { code: 'unknown-version', versions } })
    expect(answered['content-type']).toContain('application/problem+json')
    expect((body as { instance: string }).instance).toBe(line.split(' ')[1]?.split('?')[0])
  })

  test('that exists and lacks the route, or the verb', async () => {
    // v3 takes POST here, and no GET.
    expect(await send('GET /api/v3/orders')).toMatchObject({ status: 405, headers: { allow: 'POST' } })
    expect(await send('DELETE /api/orders/7')).toMatchObject({ status: 405, headers: { allow: 'GET' } })
    // Nor is what is asked with HEAD begun: of a stream nobody would hear, and nobody would end it.
    expect(await send('HEAD /api/v4/orders/7/news')).toMatchObject({ status: 405, headers: { allow: 'GET' } })
    expect(await send('GET /api/v3/nothing')).toMatchObject({ status: 404, body: { code: 'route-not-found' } })
    expect(await send('GET /api/health', { 'accept-version': '9' })).toMatchObject({ status: 200 })
  })

  test('that has ended: 410 with those to go to', async () => {
    for (const [line, headers] of [['GET /api/v1/orders/7'], ['GET /api/orders/7', { 'accept-version': '1' }]] as const)
      expect(await send(line, headers)).toMatchObject({
        status: 410,
        body: { code: 'version-retired', versions: ['v2', 'v3', 'v4'] },
        headers: { sunset: 'Fri, 01 Jan 2021 00:00:00 GMT' },
      })
  })
})

describe('an answer says', () => {
  test('which version it is, until when, and where the next is', async () => {
    const { headers } = await send('GET /api/orders/7')
    expect(headers).toMatchObject({
      'api-version': 'v2',
      deprecation: '@1719705600',
      sunset: 'Tue, 31 Dec 2999 00:00:00 GMT',
      link: '</api/v3/orders/7>; rel="successor-version"',
      vary: 'accept, content-type, accept-version',
      'content-type': 'application/json; charset=utf-8',
    })
    const newest = (await send('GET /api/v4/orders/7')).headers
    expect([newest.deprecation, newest.sunset, newest.link, newest.vary]).toEqual([
      undefined,
      undefined,
      undefined,
      'accept',
    ])
  })

  test('its media type to those who ask for it', async () => {
    expect((await send('GET /api/orders/7', { accept: media('v3') })).headers['content-type']).toBe(media('v3'))
    expect((await send('GET /api/v3/orders/7', { accept: media('v4') })).headers['content-type']).toMatch(
      /^application\/json/,
    )
    const failed = await send('POST /api/orders', { accept: media('v3') }, {})
    expect(failed.headers).toMatchObject({
      'api-version': 'v3',
      'content-type': expect.stringContaining('problem+json'),
    })
  })

  test('where things are in the style of the question', async () => {
    const at = async (path: string) =>
      (await send(`POST ${path}`, { 'accept-version': '4' }, { count: 1 })).headers.location
    expect([await at('/api/v4/orders'), await at('/api/orders')]).toEqual(['/api/v4/orders/1', '/api/orders/1'])
  })
})

describe('handlers speak the newest version alone', () => {
  test('others are translated, one after the other', async () => {
    expect((await send('POST /api/v4/orders', {}, { count: 3 })).body).toEqual({ count: 3 })
    expect((await send('POST /api/v3/orders', {}, { amount: 3 })).body).toEqual({ amount: 3 })
    expect((await send('POST /api/v2/orders', {}, { n: 3 })).body).toEqual({ n: 3 })
    expect((await send('POST /api/orders', { 'content-type': media('v3') }, { amount: 3 })).body).toEqual({ amount: 3 })
  })

  test('mistakes are told in the words of the version, found before the handler or in it', async () => {
    const field = async (path: string, body: object) =>
      ((await send(`POST ${path}`, {}, body)).body as { errors: { field: string }[] }).errors[0]?.field
    expect([await field('/api/v2/orders', {}), await field('/api/v4/orders', {})]).toEqual(['n', 'count'])
    expect([await field('/api/v2/orders', { n: 10 }), await field('/api/v3/orders', { amount: 10 })]).toEqual([
      'n',
      'amount',
    ])
  })

  test('events are translated, too', async () => {
    expect((await send('GET /api/v3/orders/7/news')).text).toContain('data: {"amount":1}')
    const bare = await send('GET /api/orders/7/news?version=4')
    expect(bare.text).toContain('data: {"count":1}')
    expect(bare.headers).toMatchObject({ 'api-version': 'v4', 'content-type': 'text/event-stream' })
  })

  test('a query says its version, and the handler does not see it', async () => {
    expect((await send('GET /api/orders?limit=2&version=4')).body).toEqual({ query: { limit: '2' } })
    expect((await send('GET /api/v4/orders?limit=2&version=4')).body).toEqual({ query: { limit: '2' } })
  })
})

test('the description has every version, and the paths without one by media type', async () => {
  const { paths } = (await send('GET /openapi.json')).body as { paths: Record<string, Record<string, Described>> }
  expect(Object.keys(paths).filter((path) => path.endsWith('/orders'))).toEqual([
    '/api/v1/orders',
    '/api/v2/orders',
    '/api/v3/orders',
    '/api/v4/orders',
    '/api/orders',
  ])
  expect(paths['/api/v2/orders']?.post).toMatchObject({ operationId: 'placeV2', deprecated: true })
  expect(paths['/api/v4/orders']?.post).toMatchObject({ operationId: 'place' })
  const { requestBody, operationId, deprecated } = paths['/api/orders']?.post ?? {}
  expect([operationId, deprecated]).toEqual(['placeUnversioned', undefined])
  expect(Object.keys(requestBody?.content ?? {})).toEqual(['v1', 'v2', 'v3', 'v4'].map(media))
})

type Described = { operationId?: string; deprecated?: boolean; requestBody?: { content?: object } }
