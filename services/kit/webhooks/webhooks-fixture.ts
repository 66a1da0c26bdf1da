/** A service that delivers webhooks, and receivers of them, for tests. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { delivers, webhook } from '#graph/webhook.ts'
import { OrderConfirmedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type Database, statement } from '../store/database.ts'
import { type EndpointRules, subscribe } from './endpoints.ts'
import { tell as tellAll } from './queue.ts'
import { targetPolicy } from './target.ts'

const orderEvents = topic('orders', { carries: [OrderConfirmedSchema], key: 'orderId' })
/** Two attempts at once to an endpoint; the rest as declarations are when they say nothing. */
export const hooks = webhook('hooks', orderEvents, [OrderConfirmedSchema], { timeoutMs: 2_000 })
export const teller = service('teller', {
  owns: [postgres()],
  edges: [consumes(orderEvents, [OrderConfirmedSchema]), delivers(hooks)],
})

export const type = 'order.confirmed'
const receiverAddress = '127.0.0.1'
/** As in a local run: this machine's own address may be told, too. */
export const policy = targetPolicy([receiverAddress])
export const rules: EndpointRules = { webhook: hooks.name, types: [type, 'order.shipped'], policy }

/** What a receiver got. */
export type Arrival = { readonly headers: IncomingHttpHeaders; readonly body: string }

/** Somebody outside. `answer` says what each delivery is answered with; by default that all is well. */
export type Receiver = {
  readonly url: string
  readonly arrivals: Arrival[]
  /** Most at once. */
  atOnceMax(): number
  answer: (response: ServerResponse, arrival: Arrival) => void
  close(): Promise<void>
}

export async function openReceiver(): Promise<Receiver> {
  const arrivals: Arrival[] = []
  let [atOnce, most] = [0, 0]
  const server = createServer((request, response) => {
    atOnce += 1
    most = Math.max(most, atOnce)
    response.on('close', () => {
      atOnce -= 1
    })
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const arrival = { headers: request.headers, body: Buffer.concat(chunks).toString() }
      arrivals.push(arrival)
      receiver.answer(response, arrival)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, receiverAddress, resolve))
  const receiver: Receiver = {
    url: `http://${receiverAddress}:${(server.address() as AddressInfo).port}/hook`,
    arrivals,
    atOnceMax: () => most,
    answer: (response) => response.writeHead(204).end(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return receiver
}

/** Subscribes a receiver to all there is. */
export function subscribed(database: Database<object>, { url }: Pick<Receiver, 'url'>) {
  return subscribe(database, rules, { url, types: [type] })
}

/** Tells of something, as a consumer would; answers the numbers of the deliveries that this made. */
export async function tell(database: Database<object>, id: string): Promise<readonly bigint[]> {
  const event = { id, type, time: new Date('2026-01-31T12:00:00Z'), data: { orderId: id } }
  const numbers = async () => (await database.query<{ number: bigint }>(selectNumbers, [id])).map((row) => row.number)
  const before = await numbers()
  await database.transaction(async (tx) => tellAll(tx, hooks.name, event))
  return (await numbers()).filter((number) => !before.includes(number))
}

const selectNumbers = statement('select number from kit.webhook_deliveries where event_id = $1 order by number')
