import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { afterAll, expect, test } from '@jest/globals'
import { rest } from '#graph/api.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '../app/app-fixture.ts'
import { restServer } from './server.ts'

const api = rest('slow-api', { show: 'GET /slow', take: 'POST /slow' })
const slow = service('slow', { exposes: [api] })
const sockets = socketFolder()
const closeMsMax = 2_000

afterAll(() => sockets.remove())

/** A server whose answer waits until it is told to come. */
async function serve(name: string, deadlineMs: number) {
  const address = sockets.at(name)
  const app = testApp(slow, { listen: address })
  const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const show = async () => {
    asked.resolve()
    await answer.promise
    return { status: 200, body: {} }
  }
  const bounds = { deadlineMs, bodyBytesMax: null }
  await app.add('rest', restServer(app, api, { show: { handler: show }, take: { handler: show } }, bounds))
  return { app, address, asked: asked.promise, answer: answer.resolve }
}

function send(path: string, text: string): Promise<void> {
  const socket = connect(path)
  socket.on('error', () => undefined)
  return new Promise((resolve) => socket.once('connect', () => socket.write(text, () => resolve())))
}

test('a server that closes answers what is under way, and waits for no connection that may bring another request', async () => {
  const { app, address, asked, answer } = await serve('kept', 10_000)
  const answered = new Promise<number | undefined>((resolve, reject) => {
    const kept = { socketPath: address.path, path: '/slow', agent: new Agent({ keepAlive: true }) }
    request(kept, (response) => response.resume().on('end', () => resolve(response.statusCode)))
      .on('error', reject)
      .end()
  })
  for (const begun of ['', 'GET /slow HTTP/1.1\r\nhost: a\r\n']) await send(address.path, begun)
  await asked
  const beganMs = performance.now()
  const stopped = app.stop()
  setTimeout(answer, 100)
  expect(await answered).toBe(200)
  await stopped
  expect(performance.now() - beganMs).toBeLessThan(closeMsMax)
})

test('nor for the rest of a request longer than it may take', async () => {
  const { app, address } = await serve('half', 200)
  const headers = 'host: a\r\ncontent-type: application/json\r\ncontent-length: 9'
  await send(address.path, `POST /slow HTTP/1.1\r\n${headers}\r\n\r\n{`)
  const beganMs = performance.now()
  await app.stop()
  expect(performance.now() - beganMs).toBeLessThan(closeMsMax)
})
