import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { issue, newAuthority } from '#local/certificates/authority.ts'
import { shop } from '#mesh/shop.ts'
import { derive } from '#plan/derive.ts'
import { orderExposure, placeSmokeOrder } from './smoke.ts'

/** An edge that ships every order at once, with a certificate for one name. */
let server: Server | undefined
afterEach(() => void server?.close())

const lifetimeMs = 60_000
let asked = 0

/** The first answers are `cut` in their middle. */
async function placedAt(dnsName: string, { cut = 0, timeoutMs = 4_500 } = {}): Promise<string> {
  const authority = await newAuthority('edge', lifetimeMs)
  const own = { name: 'edge', spiffe: null, dnsNames: [dnsName], addresses: [] }
  asked = 0
  server = createServer(await issue(authority, own, lifetimeMs), ({ method }, response) => {
    asked += 1
    if (asked <= cut) return response.writeHead(201).write('{', () => response.destroy())
    response
      .writeHead(method === 'POST' ? 201 : 200)
      .end(JSON.stringify({ orderId: 'o-1', state: { name: 'shipped' } }))
  })
  const open = server
  await new Promise<void>((resolve) => open.listen(0, '127.85.1.7', resolve))
  const { port } = open.address() as AddressInfo
  const { orderId } = await placeSmokeOrder({
    url: `https://localhost:${port}`,
    address: '127.85.1.7',
    port,
    authority: authority.cert,
    signal: AbortSignal.timeout(timeoutMs),
    say: () => {},
  })
  return orderId
}

test('the exposure that takes orders is found', () => {
  expect(orderExposure(derive(shop, 'kind'))?.name).toBe('shop')
})

test('an order is placed at an edge whose certificate is for its host', async () => {
  expect(await placedAt('localhost')).toBe('o-1')
})

test('an answer that is cut in its middle is asked for again', async () => {
  expect(await placedAt('localhost', { cut: 1 })).toBe('o-1')
})

test('nothing is sent to one whose certificate is for another, though the same authority signed it', async () => {
  await expect(placedAt('other.example', { timeoutMs: 1_500 })).rejects.toMatchObject({ code: 'INTERRUPTED' })
  expect(asked).toBe(0)
})
