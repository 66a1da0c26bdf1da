import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { notFound } from '../errors.ts'
import { type Closable, openAdmin } from './admin.ts'
import type { Operation } from './operations.ts'

let admin: Closable
let port: number

const echo: Operation = async ({ verb, path, query, body }) => {
  if (path[0] === 'nothing') throw notFound('There is no such thing.')
  return { verb, path, query: Object.fromEntries(query), body }
}

beforeAll(async () => {
  port = await freePort()
  const ways = [{ verb: 'GET' as const, path: 'ID', what: 'one thing' }]
  const operations = new Map([['things', { operation: echo, ways }]])
  const sources = { notReady: async () => ({}), serveMetrics: () => undefined, operations }
  admin = await openAdmin({ kind: 'tcp', host: '0.0.0.0', port }, sources)
})

afterAll(async () => admin?.close())

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port: free } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return free
}

type Asked = { method?: string; from?: string; type?: string; body?: string }

function ask(path: string, { method = 'GET', from = '127.0.0.1', type = 'application/json', body }: Asked = {}) {
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const headers = { 'content-type': type }
    const options = { host: '127.0.0.1', port, path, method, headers, localAddress: from, agent: false }
    const asked = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString()) })
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

describe('an operation', () => {
  test('is told the rest of the path, the query and the body', async () => {
    expect(await ask('/things/12/replay?a=b', { method: 'POST', body: '{"reason":"x"}' })).toEqual({
      status: 200,
      body: { verb: 'POST', path: ['12', 'replay'], query: { a: 'b' }, body: { reason: 'x' } },
    })
    expect(await ask('/things')).toMatchObject({ status: 200, body: { verb: 'GET', path: [] } })
  })

  test('is listed with the ways to ask it', async () => {
    const things = { name: 'things', ways: [{ verb: 'GET', path: 'ID', what: 'one thing' }] }
    expect(await ask('/operations')).toEqual({ status: 200, body: { operations: [things] } })
    expect(await ask('/operations', { from: '127.0.0.6' })).toMatchObject({ status: 403 })
  })

  test('is for those on the host itself: not for what a sidecar lets through, nor for a page of a browser', async () => {
    // 127.0.0.6 is the address by which Istio's sidecar hands on what came from other pods.
    expect(await ask('/things', { from: '127.0.0.6' })).toMatchObject({ status: 403 })
    expect(await ask('/livez', { from: '127.0.0.6' })).toMatchObject({ status: 200 })
    expect(await ask('/things', { method: 'POST', type: 'text/plain', body: '{}' })).toMatchObject({ status: 400 })
  })

  test('answers what is wrong by its code', async () => {
    expect(await ask('/things/nothing')).toEqual({
      status: 404,
      body: { code: 'not-found', message: 'There is no such thing.' },
    })
    expect(await ask('/things', { method: 'POST', body: '{' })).toMatchObject({ status: 400 })
    expect(await ask('/things', { method: 'POST', body: '[]' })).toMatchObject({ status: 400 })
    expect(await ask('/things', { method: 'POST', body: ' '.repeat(70_000) })).toMatchObject({ status: 400 })
    expect(await ask('/things', { method: 'DELETE' })).toMatchObject({ status: 405 })
    expect(await ask('/other')).toMatchObject({ status: 404, body: { error: expect.stringContaining('/things') } })
  })
})
