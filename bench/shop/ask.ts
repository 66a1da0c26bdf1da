import { randomUUID } from 'node:crypto'
import { type Answer, request } from '#test/shop/client.ts'
import type { Stack } from '#test/stack.ts'

/** Where a service is reached from outside. */
export function edgeOf({ layout }: Stack, service: string): string {
  const edge = layout.services[service]?.edge
  if (!edge) throw new Error(`${service} is not exposed.`)
  return `http://${edge.address}:${edge.port}`
}

/** Asks, and takes nothing but the status that is wanted: what was refused is not fast. */
export async function expect(status: number, url: string, init?: RequestInit): Promise<Answer> {
  const answer = await request(url, init)
  if (answer.status === status) return answer
  throw new Error(`${init?.method ?? 'GET'} ${url} answered ${answer.status} ${JSON.stringify(answer.body)}`)
}

/** Sends JSON under a key of its own, and takes nothing but the status that is wanted. */
export function post(status: number, url: string, body: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
  return expect(status, url, { method: 'POST', headers, body: JSON.stringify(body) })
}

const products = [1, 2, 3, 4, 5].map((number) => ({ productId: `p-${number}`, quantity: 1 }))

/** Places an order of five products, in the newest version, and gives its id. */
export async function placeFive({ url }: Stack, customerId: string): Promise<string> {
  const { body } = await post(201, `${url}/api/v2/orders`, { customerId, lines: products })
  return String(body.orderId)
}
