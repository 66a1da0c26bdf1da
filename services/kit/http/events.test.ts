import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { service } from '#graph/service.ts'
import { socketFolder, type TestApp, testApp } from '../app/app-fixture.ts'
import { currentSignal } from '../context.ts'
import { notFound, ServiceError } from '../errors.ts'
import type { ServerEvent } from './events.ts'
import { restServer } from './server.ts'

const api = rest('news-api', { news: 'GET /news/{id}', list: 'GET /news' }, { streams: ['news'] })
const news = service('news', { exposes: [api] })
const sockets = socketFolder()
let app: TestApp<typeof news>
let sequence = 0
let socketPath: string

afterEach(async () => {
  if (!app.stopping.aborted) await app.stop()
})
afterAll(() => sockets.remove())

async function start(events: (id: string, last: string) => AsyncIterable<ServerEvent>, streamDeadlineMs = 5_000) {
  const address = sockets.at(`news${++sequence}`)
  socketPath = address.path
  app = testApp(news, { listen: address })
  const routes = {
    news: {
      handler: async ({ params, headers }: { params: { id: string }; headers: object }) => ({
        status: 200,
        events: events(params.id, 'last-event-id' in headers ? String(headers['last-event-id']) : ''),
      }),
    },
    list: { handler: async () => ({ status: 200, body: [] }) },
  }
  await app.add('rest', restServer(app, api, routes, { deadlineMs: 300, bodyBytesMax: null, streamDeadlineMs }))
}

type Answer = { status: number; type: string; text: string; ms: number }

/** Reads an answer to its end, or until it holds a text. */
function get(path: string, until = 'no such text', headers: Record<string, string> = {}): Promise<Answer> {
  const beganMs = performance.now()
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, headers, agent: false }, (answer) => {
      let text = ''
      const done = () =>
        resolve({
          status: answer.statusCode ?? 0,
          type: String(answer.headers['content-type']),
          text,
          ms: performance.now() - beganMs,
        })
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        if (!text.includes(until)) return
        done()
        sent.destroy()
      })
      answer.on('end', done)
    })
    sent.on('error', reject).end()
  })
}

const forever = () => new Promise<never>(() => undefined)

describe('server-sent events', () => {
  test('come as they happen, with ids and signs of life, beyond the deadline of an answer', async () => {
    await start(async function* (id, last) {
      yield { id: `${Number(last) + 1}`, event: 'news', data: { id } }
      await sleep(400)
      yield {}
      yield { id: '9', data: 'two\nlines' }
    })
    const { status, type, text } = await get('/news/a', undefined, { 'last-event-id': '6' })
    expect([status, type]).toEqual([200, 'text/event-stream'])
    expect(text.replace(/retry: \d+/, 'retry: n')).toBe(
      'retry: n\n\nid: 7\nevent: news\ndata: {"id":"a"}\n\n: alive\n\nid: 9\ndata: "two\\nlines"\n\n',
    )
  })

  test('that are refused at once have a status; a fault later is an event, and what passes ends the stream', async () => {
    await start(async function* (id) {
      if (id === 'none') throw notFound('There is no such news')
      yield { data: id }
      throw id === 'away' ? new ServiceError('unavailable', 'gone for a moment') : notFound('It was taken back')
    })
    expect(await get('/news/none')).toMatchObject({
      status: 404,
      type: expect.stringContaining('application/problem+json'),
    })
    expect((await get('/news/a')).text).toContain('event: problem\ndata: {"type":"urn:parley:problem:not-found"')
    expect((await get('/news/away')).text).toMatch(/data: "away"\n\n$/)
  })

  test('end when the reader goes, at their deadline, and when the process stops; their source hears of it', async () => {
    const told: string[] = []
    await start(async function* (id) {
      const signal = currentSignal()
      signal.addEventListener('abort', () => told.push(id))
      if (id !== 'silent') yield { data: id }
      await forever()
    }, 1_500)
    expect((await get('/news/reader', 'data: "reader"')).status).toBe(200)
    // The silent one answers with its headers though it has nothing to say.
    const silent = await get('/news/silent', 'retry')
    expect(silent.ms).toBeLessThan(1_200)
    const late = await get('/news/late')
    expect(late.text).toContain('"late"')
    expect(late.ms).toBeGreaterThan(1_400)
    const stopped = get('/news/stopped')
    await sleep(50)
    await app.stop()
    expect((await stopped).text).toContain('"stopped"')
    expect(told.toSorted()).toEqual(['late', 'reader', 'silent', 'stopped'])
  })

  test('to a slow reader are made no faster than they are read', async () => {
    let made = 0
    await start(async function* () {
      for (; made < 100_000; made += 1) yield { data: 'x'.repeat(1_000) }
    })
    await new Promise<void>((resolve) => {
      const sent = request({ socketPath, path: '/news/a', agent: false }, (answer) => {
        answer.pause()
        setTimeout(() => {
          sent.destroy()
          resolve()
        }, 300)
      })
      sent.end()
    })
    expect(made).toBeGreaterThan(0)
    expect(made).toBeLessThan(2_000)
  })
})
