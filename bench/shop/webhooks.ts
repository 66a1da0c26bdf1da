/** Webhooks: a receiver outside, and how long it takes until it hears of an order. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, type Stack } from '#test/stack.ts'
import { latencyLines, print } from '../report.ts'
import { edgeOf, expect, post } from './ask.ts'

const types = ['order.placed', 'order.confirmed', 'order.shipped']
const arriveWithinMs = 60_000

type Arrival = { readonly id: string; readonly type: string; readonly orderId: string; readonly delayMs: number }

/** Somebody outside who hears of all orders. */
export type Subscriber = {
  readonly id: string
  readonly arrivals: Arrival[]
  close(): void
}

/** Subscribes a receiver of this process. */
export async function subscribe(shop: Stack): Promise<Subscriber> {
  const arrivals: Arrival[] = []
  const server = createServer(async (request, response) => {
    const arrivedMs = Date.now()
    let text = ''
    for await (const chunk of request.setEncoding('utf8')) text += chunk
    response.writeHead(204).end()
    const { type, timestamp, data } = JSON.parse(text) as {
      readonly type: string
      readonly timestamp: string
      readonly data: { readonly orderId: string }
    }
    const id = String(request.headers['webhook-id'])
    arrivals.push({ id, type, orderId: data.orderId, delayMs: arrivedMs - Date.parse(timestamp) })
  })
  // The one address inside that a local run lets webhooks go to.
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { body } = await post(201, `${edgeOf(shop, 'webhooks')}/api/v1/webhooks`, { url, types })
  return {
    id: String(body.id),
    arrivals,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Row 14: how late the receiver heard of these orders, and how many deliveries a second one endpoint gets. */
export async function measureWebhooks(shop: Stack, subscriber: Subscriber, orderIds: readonly string[]): Promise<void> {
  const wanted = new Set(orderIds)
  const heard = () => subscriber.arrivals.filter(({ orderId }) => wanted.has(orderId))
  await eventually(
    async () => ids(heard()).size,
    (count) => count >= types.length * wanted.size,
    arriveWithinMs,
  )
  const placedMs = heard().flatMap(({ type, delayMs }) => (type === 'order.placed' ? [delayMs] : []))
  const { deliveries, perSecond } = await replayAll(shop, subscriber)
  print('14 · Webhooks: the same orders, told to one receiver', [
    ...latencyLines('order placed → receiver', placedMs, {
      claimed: '100 ms–30 s',
      note: 'batch 1; Postgres fsync of orders, of the delivery and of its outcome, Kafka acks=all of one replica',
    }),
    {
      what: `${deliveries} deliveries replayed to one endpoint`,
      measured: perSecond,
      ...{ unit: 'deliveries/s', claimed: 'low to moderate', note: '2 at once; signed, logged, Postgres fsync' },
    },
  ])
}

async function replayAll(
  shop: Stack,
  { id, arrivals }: Subscriber,
): Promise<{ deliveries: number; perSecond: number }> {
  // What arrived is delivered once its outcome is in the log, a moment later.
  const webhook = `${edgeOf(shop, 'webhooks')}/api/v1/webhooks/${id}`
  await eventually(
    async () => (await expect(200, webhook)).body.waiting,
    (waiting) => waiting === 0,
  )
  const deliveries = ids(arrivals).size
  const before = arrivals.length
  const beganMs = performance.now()
  const range = { from: '2026-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' }
  await post(202, `${webhook}/replay`, { ...range, delivered: true })
  const endMs = beganMs + arriveWithinMs
  while (ids(arrivals.slice(before)).size < deliveries) {
    if (performance.now() > endMs) throw new Error(`Of ${deliveries} replays some did not arrive.`)
    await sleep(5)
  }
  return { deliveries, perSecond: (deliveries * 1_000) / (performance.now() - beganMs) }
}

/** An attempt may arrive twice. */
function ids(arrivals: readonly Arrival[]): ReadonlySet<string> {
  return new Set(arrivals.map(({ id }) => id))
}
