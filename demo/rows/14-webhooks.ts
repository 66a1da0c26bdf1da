import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ServiceError } from '#kit/errors.ts'
import { type SeenWebhooks, seenInMemory, verifyWebhook } from '#kit/webhooks/verify.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

type Arrival = {
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: string
  /** What the receiver answered. */
  readonly answered: number
}
type Subscription = { readonly id: string; readonly secret: string }
type Delivery = { readonly type?: string; readonly state: string; readonly attempts: number }
type Deliveries = { readonly deliveries: readonly Delivery[] }

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
      const worth = { fields: ['id', 'state', 'secret'] }
      return visit.request<Subscription>('POST', path, { at: 'webhooks', headers, body: { url: to, types }, worth })
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
      found.map(({ body, answered }) => `${JSON.parse(body).type} (answered ${answered})`).join(', '),
    )
    const judged = await visit.show(
      'each verified with the subscription’s secret, and the last with a changed body',
      async () => {
        const [last] = told.slice(-1)
        const all = [...told, ...(last ? [{ ...last, body: `${last.body} ` }] : [])]
        const verdicts: string[] = []
        for (const arrival of all) verdicts.push(await verdictOf(arrival, secret, seen))
        return verdicts
      },
      (verdicts) => verdicts.join(', '),
    )
    const genuine = judged.filter((verdict) => verdict === 'genuine')
    must(genuine.length === types.length, `${genuine.length} of ${types.length} were genuine and new`)
    must(judged.at(-1) === 'webhook-forged', `A webhook with a changed body is ${judged.at(-1)}`)
    const logPath = `${path}/${id}/deliveries`
    const log = () => visit.request<Deliveries>('GET', logPath, { at: 'webhooks', shown: false })
    const { body } = await visit.show(`GET ${logPath} of webhooks`, log, ({ status, body: { deliveries } }) =>
      [
        status,
        deliveries.map(({ type, state, attempts }) => `${type} ${state}, attempts: ${attempts}`).join('; '),
      ].join('  '),
    )
    must(body.deliveries.length >= types.length, 'The log of deliveries does not name them all')
  },
}

/** All that is told of an order names its customer. */
const customerOf = ({ token }: Visit) => `c-${token}`

/** What a receiver finds of a webhook: `genuine`, or the code of why it is not taken. */
async function verdictOf({ headers, body }: Arrival, secret: string, seen: SeenWebhooks): Promise<string> {
  const verified = verifyWebhook({ headers, body, secrets: [secret], seen })
  return verified.then(
    () => 'genuine',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )
}

/** Somebody outside, on this machine; stumbles at the first thing that it hears of this walk's order. */
async function receiver(visit: Visit): Promise<{ url: string; arrivals: readonly Arrival[] }> {
  const arrivals: Arrival[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    // Others order, too.
    const ours = body.includes(customerOf(visit))
    const answered = ours && arrivals.length === 0 ? 503 : 204
    if (ours) arrivals.push({ headers: request.headers, body, answered })
    response.writeHead(answered).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  visit.afterwards(async () => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, arrivals }
}
