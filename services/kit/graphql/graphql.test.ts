import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { graphql } from '#graph/api.ts'
import { service } from '#graph/service.ts'
import { socketFolder, type TestApp, testApp } from '../app/app-fixture.ts'
import { currentSignal } from '../context.ts'
import { invalidArgument, notFound, ServiceError } from '../errors.ts'
import { silentLog } from '../telemetry/log.ts'
import { until } from '../until-fixture.ts'
import { loader } from './loader.ts'
import { documentIdOf } from './operations.ts'
import type { Resolvers } from './schema.ts'
import { graphqlServer } from './server.ts'
import { subscription } from './subscription.ts'

const api = graphql('library')
const library = service('library', { exposes: [api] })
const sockets = socketFolder()

const schema = `
  type Query {
    shelf(first: Int! = 10, of: [ID!]): [Book!]! @listSize(by: ["first"])
    book(id: ID!): Book
    broken: String
    refused: String
  }
  type Book { id: ID!  title: String  author: Author  copies: WholeNumber }
  type Author { name: String!  books(first: Int! = 10): [Book!]! @listSize(by: ["first"]) }
  type Subscription { news(topic: String!, afterPosition: String): String }
`
const listed = 'query Title($id: ID!) { book(id: $id) { title } }'

type Context = { author: ReturnType<typeof authors> }
let asked: (readonly string[])[]
let ended: string[]
/** What was written for the operators. */
let faults: unknown[]

function authors() {
  return loader<string, { name: string }>(
    async (ids) => {
      asked.push(ids)
      if (ids.includes('lost')) throw new ServiceError('unavailable', 'The authors are away.')
      return new Map(ids.map((id) => [id, { name: `Author ${id}` }]))
    },
    { batchMax: 50 },
  )
}

const bookOf = (id: string) => ({ id, title: `Book ${id}`, copies: 5_000_000_000n })
const resolvers: Resolvers<Context> = {
  Query: {
    shelf: (_: unknown, { first }: { first: number }) =>
      Array.from({ length: first }, (_unused, index) => bookOf(`${index}`)),
    book: (_: unknown, { id }: { id: string }) => bookOf(id),
    broken: () => {
      throw new Error('password=hunter2')
    },
    refused: () => {
      throw invalidArgument('No.', { field: 'x', code: 'format', message: 'No.' })
    },
  },
  Book: {
    author: ({ id }: { id: string }, _, { author }) => author.load(id === 'lost' ? 'lost' : `${Number(id) % 2}`),
  },
  Author: { books: () => [bookOf('1')] },
  Subscription: { news: subscription(news) },
}

async function* news({ topic }: { topic: string; afterPosition?: string | null }, _: Context, after = '0') {
  if (topic === 'late') await sleep(300)
  if (topic === 'none' || topic === 'late') throw notFound('There is no such topic.')
  const signal = currentSignal()
  try {
    for (let position = Number(after) + 1; position <= 3; position += 1) {
      yield { position: `${position}`, value: `${topic} ${position}` }
      if (topic === 'broken') throw new Error('password=hunter2')
      if (topic === 'failing') throw notFound('It was taken back.')
      if (topic === 'away') throw new ServiceError('unavailable', 'Gone for a moment.')
    }
    if (topic === 'live') await once(signal, 'abort')
  } finally {
    ended.push(topic)
  }
}

let app: TestApp<typeof library>
let socketPath: string
let sequence = 0

async function start(environment = 'local'): Promise<void> {
  const address = sockets.at(`g${++sequence}`)
  socketPath = address.path
  const error = (_message: string, fields: { readonly error?: unknown } = {}) => void faults.push(fields.error)
  app = testApp(library, { listen: address, environment }, { ...silentLog, error })
  const context = () => ({ author: authors() })
  const bounds = { deadlineMs: 2_000, bodyBytesMax: 65_536, streamDeadlineMs: 5_000 }
  await app.add('graphql', graphqlServer(app, api, { schema, resolvers, context, operations: [listed] }, bounds))
}

beforeEach(async () => {
  asked = []
  ended = []
  faults = []
  await start()
})
afterEach(async () => {
  if (!app.stopping.aborted) await app.stop()
})
afterAll(() => sockets.remove())

type Answer = { status: number; type: string; body: unknown }

function send(options: object, body?: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) =>
    request({ socketPath, agent: false, ...options }, resolve)
      .on('error', reject)
      .end(body),
  )
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk
  return text
}

async function post(body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const all = { 'content-type': 'application/json', ...headers }
  const answer = await send({ method: 'POST', path: '/graphql', headers: all }, text)
  const type = String(answer.headers['content-type'])
  return { status: answer.statusCode ?? 0, type, body: JSON.parse(await textOf(answer)) }
}

const path = (topic: string, more: Record<string, string> = {}) => {
  const query = 'subscription ($topic: String!) { news(topic: $topic) }'
  return `/graphql/stream?${new URLSearchParams({ query, variables: JSON.stringify({ topic }), ...more })}`
}

async function open(topic: string, headers: Record<string, string> = {}): Promise<string> {
  return (await textOf(await send({ path: path(topic), headers }))).replace(/retry: \d+\n\n/, '')
}

describe('a query', () => {
  test('asks each source once for all that is needed at the same time', async () => {
    const query = '{ shelf(first: 20) { id copies author { name } } book(id: "7") { author { name } } }'
    const { status, type, body } = await post({ query })
    expect([status, type]).toEqual([200, 'application/graphql-response+json; charset=utf-8'])
    expect(body).toMatchObject({ data: { shelf: expect.arrayContaining([expect.objectContaining({ copies: 5e9 })]) } })
    expect(body).not.toHaveProperty('errors')
    expect(asked).toEqual([['0', '1']])
  })

  test('keeps what could be had beside what could not, with a code and a path for each, and tells nothing of the inside', async () => {
    const query = '{ book(id: "lost") { title author { name } } broken refused }'
    const { status, body } = await post({ query }, { 'x-correlation-id': 'c-7' })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      data: { book: { title: 'Book lost', author: null }, broken: null, refused: null },
      errors: expect.arrayContaining([
        expect.objectContaining({
          path: ['book', 'author'],
          extensions: { code: 'unavailable', correlationId: 'c-7' },
        }),
        expect.objectContaining({ path: ['broken'], message: expect.stringContaining('correlation id c-7') }),
        expect.objectContaining({
          path: ['refused'],
          extensions: expect.objectContaining({ code: 'invalid-argument' }),
        }),
      ]),
    })
    expect(JSON.stringify(body)).not.toContain('hunter2')
  })

  test('is known by its id where only listed ones are taken; then the schema is not told, and nothing else is run', async () => {
    await app.stop()
    await start('production')
    const documentId = documentIdOf(listed)
    expect((await post({ documentId, variables: { id: '1' } })).body).toEqual({ data: { book: { title: 'Book 1' } } })
    expect((await post({ query: listed, variables: { id: '1' } })).body).toHaveProperty('data')
    expect(codeOf(await post({ query: '{ __schema { types { name } } }' }))).toBe('operation-not-listed')
    expect(codeOf(await post({ documentId: documentIdOf('{ shelf { id } }') }))).toBe('operation-unknown')
    await app.stop()
    await start('local')
    expect((await post({ query: '{ __schema { queryType { name } } }' })).body).toHaveProperty('data.__schema')
  })
})

function codeOf({ body }: Answer): unknown {
  const { errors, code } = body as { errors?: { extensions: { code: string } }[]; code?: string }
  return errors?.[0]?.extensions.code ?? code
}

const nested = (levels: number) => `${'{ author { books '.repeat(levels)}{ id }${' } }'.repeat(levels)}`
/** A document that spells out a billion fields. */
const bomb = () => {
  const fragments = Array.from(
    { length: 30 },
    (_, index) => `fragment f${index} on Book { ...f${index + 1} author { books(first: 1) { ...f${index + 1} } } }`,
  )
  return `{ book(id: "1") { ...f0 } } ${fragments.join(' ')} fragment f30 on Book { id }`
}

describe('what is refused before anything is asked for it', () => {
  test.each<[string, unknown]>([
    ['query-too-deep', { query: `{ book(id: "1") ${nested(4)} }` }],
    ['query-too-deep', { query: bomb() }],
    ['query-too-long', { query: `{ book(id: "1") ${nested(1_000)} }` }],
    ['query-too-long', { query: `{ ${'broken '.repeat(1_500)} }` }],
    ['query-too-long', { query: `{ broken } # ${'x'.repeat(20_000)}` }],
    ['query-too-many-aliases', { query: `{ ${Array.from({ length: 16 }, (_, i) => `a${i}: broken`).join(' ')} }` }],
    ['query-too-costly', { query: '{ shelf(first: 50) { author { books(first: 50) { id } } } }' }],
    ['query-too-costly', { query: 'query ($n: Int!) { shelf(first: $n) { id } }', variables: { n: 2_001 } }],
    ['query-malformed', { query: '{ book(' }],
    ['query-invalid', { query: '{ nothing }' }],
    ['query-invalid', { query: '{ book(id: "1") { ...f } } fragment f on Book { author { books { ...f } } }' }],
    ['variables-invalid', { query: listed, variables: { id: null } }],
    ['variables-invalid', { query: 'query ($n: Int = 3) { shelf(first: $n) { id } }', variables: { n: null } }],
    [
      'variables-invalid',
      {
        query: 'query ($of: [ID!]) { shelf(of: $of) { id } }',
        variables: { of: Array.from({ length: 10_000 }, () => ({})) },
      },
    ],
    ['operation-unknown', { query: 'query A { broken } query B { broken }' }],
    ['operation-misplaced', { query: 'subscription { news(topic: "x") }' }],
    ['batch-refused', [{ query: '{ broken }' }]],
    ['request-malformed', {}],
    ['request-malformed', '"text"'],
    ['request-malformed', { query: '{ broken }', variables: [1] }],
    ['malformed-json', '{'],
    ['body-too-large', { query: ' '.repeat(70_000) }],
  ])('%s', async (code, body) => {
    const beganMs = performance.now()
    const answer = await post(body)
    expect(codeOf(answer)).toBe(code)
    expect([400, 413]).toContain(answer.status)
    expect(performance.now() - beganMs).toBeLessThan(500)
    expect(asked).toEqual([])
  })

  test('has status 200 for clients that know of JSON alone, and a body in another type is not read', async () => {
    const refused = await post({ query: '{ nothing }' }, { accept: 'application/json' })
    expect(refused).toMatchObject({ status: 200, type: 'application/json; charset=utf-8' })
    expect(await post('{ broken }', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
    expect((await send({ path: '/graphql' })).statusCode).toBe(405)
  })
})

describe('a subscription', () => {
  test('tells results with the position where to go on, then that it is complete', async () => {
    const expected = [1, 2, 3].map((n) => `id: ${n}\nevent: next\ndata: {"data":{"news":"a ${n}"}}\n\n`)
    const complete = 'event: complete\ndata: ""\n\n'
    expect(await open('a')).toBe(expected.join('') + complete)
    expect(await open('a', { 'last-event-id': '2' })).toBe(expected[2] + complete)
    const query = 'subscription { news(topic: "a", afterPosition: "1") }'
    const answer = await send({ path: `/graphql/stream?${new URLSearchParams({ query })}` })
    expect(await textOf(answer)).toContain(`${expected[1]}${expected[2]}`)
  })

  test('that cannot begin has a status; one that fails later is told and complete, or ends to be opened again', async () => {
    const none = await send({ path: path('none') })
    expect([none.statusCode, JSON.parse(await textOf(none)).code]).toEqual([404, 'not-found'])
    const misplaced = await send({ path: `/graphql/stream?query=${encodeURIComponent('{ broken }')}` })
    expect(misplaced.statusCode).toBe(400)
    expect(await textOf(misplaced)).toContain('operation-misplaced')
    // Too late for a status: without `complete` a browser would come back for ever.
    expect(await open('late')).toMatch(/^event: next\ndata: {"errors":.*"not-found".*\n\nevent: complete/)
    expect(await open('failing')).toMatch(
      /"failing 1"}}\n\nevent: next\ndata: {"errors":.*"not-found".*\n\nevent: complete/,
    )
    const broken = await open('broken')
    expect(broken).toMatch(/"broken 1"}}\n\nevent: next\ndata: {"errors":.*"internal".*\n\nevent: complete/)
    expect(broken).not.toContain('hunter2')
    expect(faults).toEqual([expect.objectContaining({ message: 'password=hunter2' })])
    expect(await open('away')).toBe('id: 1\nevent: next\ndata: {"data":{"news":"away 1"}}\n\n')
  })

  test('ends at its source when the reader goes, and without complete when the process stops', async () => {
    const left = await send({ path: path('live') })
    await once(left, 'data')
    expect(ended).toEqual([])
    left.destroy()
    await until(() => ended.length > 0, 'the source has ended', 2_000)
    expect(ended).toEqual(['live'])
    const stopped = open('live')
    await sleep(100)
    await app.stop()
    const text = await stopped
    expect(text).toContain('live 3')
    expect(text).not.toContain('complete')
    expect(ended).toEqual(['live', 'live'])
  })
})
