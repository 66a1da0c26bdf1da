import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seenInMemory, verifyWebhook } from '#kit/webhooks/verify.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

type Arrival = { readonly headers: Record<string, string | string[] | undefined>; readonly body: string }
type Subscription = { readonly id: string; readonly secret: string }
type Deliveries = { readonly deliveries: readonly { readonly type?: string; readonly state: string }[] }

const path = '/api/v1/webhooks'
const types = ['order.placed', 'order.confirmed', 'order.shipped']

/** Webhooks: a subscriber outside is told of an order, signed, again where it stumbled, and never at an inside address. */
export const webhooksRow: Row = {
  number: 14,
  name: 'webhooks',
  pattern: 'Webhooks: told signed, told again, told nobody inside',
  services: ['gateway', 'orders', 'webhooks'],
  withinMs: 60_000,
  async walk(visit) {
    const { url, arrivals } = await receiver(visit)
    const subscribe = (to: string) => {
      const headers = { 'idempotency-key': `${visit.token} ${to}` }
      return visit.request<Subscription>('POST', path, { at: 'webhooks', headers, body: { url: to, types } })
    }
    const inside = await subscribe('https://10.0.0.1/')
    must(inside.status === 400, `An inside address is answered by ${inside.status}`)
    const made = await subscribe(url)
    must(made.status === 201, `The subscription was answered by ${made.status}: ${JSON.stringify(made.body)}`)
    const { id, secret } = made.body
    visit.afterwards(() => fetch(`${visit.shop.edgeOf('webhooks')}${path}/${id}`, { method: 'DELETE' }))

    const { orderId } = await placeOrder(visit, { customerId: customerOf(visit) })
    await orderIn(visit, orderId, 'shipped')
    const seen = seenInMemory()
    // The receiver fails at the first one, which comes once more.
    const all = () =>
      visit.until(
        'Not all webhooks arrived',
        async () => arrivals,
        ({ length }) => length >= 4,
      )
    const told = await visit.show(`what ${url} heard of ${orderId}`, all, (found) =>
      found.map(({ body }) => JSON.parse(body).type).join(', '),
    )
    const genuine = await Promise.allSettled(
      told.map((arrival) => verifyWebhook({ ...arrival, secrets: [secret], seen })),
    )
    const ids = genuine.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    must(ids.length === types.length, `${ids.length} of ${types.length} were genuine and new`)
    const log = await visit.request<Deliveries>('GET', `${path}/${id}/deliveries`, { at: 'webhooks' })
    must(log.body.deliveries.length >= types.length, 'The log of deliveries does not name them all')
  },
}

/** All that is told of an order names its customer. */
const customerOf = ({ token }: Visit) => `c-${token}`

/** Somebody outside, on this machine; stumbles at the first thing that it hears of this walk's order. */
async function receiver(visit: Visit): Promise<{ url: string; arrivals: readonly Arrival[] }> {
  const arrivals: Arrival[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    // Others order, too.
    const ours = body.includes(customerOf(visit))
    if (ours) arrivals.push({ headers: request.headers, body })
    response.writeHead(ours && arrivals.length === 1 ? 503 : 204).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  visit.afterwards(async () => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, arrivals }
}
