import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { KubeConfig } from '@kubernetes/client-node'
import { service } from '#graph/service.ts'
import { command } from '#graph/start.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import { adminsOnCluster } from './admins.ts'
import { type FakeApiServer, startFakeApiServer } from './api-server-fixture.ts'
import { openConnection } from './connection.ts'
import { requestInside } from './inside.ts'
import { acceptWebSocket } from './port-forward-fixture.ts'

/** The admin addresses of services, through an API server that forwards ports to a service of this process. */
const address = '127.68.200.1'
const words = service('words', { start: command('python3', 'words.py') })
const plan = derive(system('shop', { services: [service('orders', {}), service('billing', {}), words] }), 'kind')

let api: FakeApiServer
let admin: Server
const asked: string[] = []

beforeAll(async () => {
  admin = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    asked.push(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`)
    if (request.url === '/hang') return
    if (request.url === '/plain') return void response.writeHead(404).end('no such thing')
    response.writeHead(200, { 'content-type': 'application/json' })
    // In two pieces, of which the second is larger than a message of the forwarding.
    response.write('{"letters":')
    response.end(JSON.stringify(['x'.repeat(request.url === '/large' ? 200_000 : 1)]).concat('}'))
  })
  await new Promise<void>((resolve) => admin.listen(0, address, resolve))
  const { port } = admin.address() as AddressInfo
  const inside = (pod: string, at: number) => (pod === 'orders-2' && at === 9464 ? { host: address, port } : undefined)
  api = await startFakeApiServer(address, inside)
})
afterAll(async () => {
  admin.closeAllConnections()
  admin.close()
  await api.close()
})
beforeEach(() => {
  asked.length = 0
  api.objects.clear()
})

function pod(name: string, app: string, ready: boolean, more: object = {}): void {
  const metadata = { name, namespace: plan.namespace, labels: { app }, ...more }
  const status = { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] }
  api.objects.set(`/api/v1/namespaces/${plan.namespace}/pods/${name}`, { kind: 'Pod', metadata, status })
}

function ask(name: string, patience = {}) {
  const found = adminsOnCluster(openConnection('fake', patience), plan).get(name)
  if (!found) throw new Error(`${name} cannot be asked`)
  return found
}

describe('a service on a cluster', () => {
  test('is asked at a pod that is ready, by a forwarded port; any status is an answer', async () => {
    pod('orders-0', 'orders', false)
    pod('orders-1', 'orders', true, { deletionTimestamp: '2026-01-01T00:00:00Z' })
    pod('orders-2', 'orders', true)
    expect(await ask('orders')('GET', '/dead-letters?limit=1')).toEqual({ status: 200, body: { letters: ['x'] } })
    expect(await ask('orders')('POST', '/dead-letters/1/discard', { reason: 'old' })).toMatchObject({ status: 200 })
    expect(await ask('orders')('GET', '/plain')).toEqual({ status: 404, body: { message: 'no such thing' } })
    expect(asked).toEqual([
      'GET /dead-letters?limit=1 ',
      'POST /dead-letters/1/discard {"reason":"old"}',
      'GET /plain ',
    ])
    const { body } = await ask('orders')('GET', '/large')
    expect(String(body.letters)).toHaveLength(200_000)
  })

  test('that has no ready pod, or does not listen, or says nothing, is told of by its name', async () => {
    await expect(ask('orders')('GET', '/sagas')).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('No pod of orders is ready on fake'),
    })
    pod('billing-0', 'billing', true)
    await expect(ask('billing')('GET', '/sagas')).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringMatching(/billing-0.*connection refused at 9464.*pods\/portforward/),
    })
    pod('orders-2', 'orders', true)
    await expect(ask('orders', { timeoutMs: 200 })('GET', '/hang')).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  test.each([
    ['the request for its port', () => {}],
    ['the word that it is no longer asked', acceptWebSocket],
  ])('leaves nothing open where the API server never answers %s', async (_, answer) => {
    const gone = Promise.withResolvers<void>()
    const silent = createServer().on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      socket.resume().on('error', gone.resolve).on('end', gone.resolve)
      answer(request, socket)
      gone.promise.then(() => socket.destroy())
    })
    await new Promise<void>((resolve) => silent.listen(0, address, resolve))
    const { port } = silent.address() as AddressInfo
    const config = new KubeConfig()
    config.loadFromClusterAndUser(
      { name: 'c', server: `http://${address}:${port}`, skipTLSVerify: true },
      { name: 'u' },
    )
    const asking = requestInside(config, { namespace: 'n', name: 'p' }, 9464, { method: 'GET', path: '/' }, 100)
    await expect(asking).rejects.toThrow('timeout')
    await gone.promise
    silent.close()
  })

  test('that Parley’s kit does not start is not asked: it may have no such address', () => {
    expect([...adminsOnCluster(openConnection('fake'), plan).keys()]).toEqual(['billing', 'orders'])
  })
})
