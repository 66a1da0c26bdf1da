import { must, type Visit } from './row.ts'

/** An order as version 2 of the gateway's interface shows it. */
export type Order = {
  readonly orderId: string
  readonly state: { readonly name: string; readonly reason?: string; readonly trackingNumber?: string }
  readonly stockCheck: string
  readonly fulfilment: string
  readonly revision: number
}

type NewOrder = {
  readonly customerId?: string
  readonly productId?: string
  readonly quantity?: number
  readonly paymentMethod?: string
  readonly fulfilment?: 'orchestrated'
  readonly key?: string
  readonly shown?: boolean
}

/** Places an order at the gateway; it has to be accepted. */
export async function placeOrder(visit: Visit, order: NewOrder = {}): Promise<Order> {
  const { customerId = 'c-demo', productId = 'p-1', quantity = 1, key = `demo-${visit.token}`, shown = true } = order
  const { paymentMethod, fulfilment } = order
  const wish = { customerId, fulfilment, paymentMethod, lines: [{ productId, quantity }] }
  const headers = { 'idempotency-key': key }
  const worth = { fields: ['orderId', 'total', 'state', 'stockCheck'] }
  const ask = () => visit.request<Order>('POST', '/api/v2/orders', { headers, body: wish, shown, worth })
  // As any client with an idempotency key: what took too long is asked again. Just started processes take long.
  const { status, body } = await visit.until('No answer', ask, ({ status: is }) => is !== 503 && is !== 504, 1_000)
  must(status === 201, `The order was not accepted: ${status} ${JSON.stringify(body)}`)
  return body
}

/** Waits until an order has one of these statuses, and shows how it is then. */
export async function orderIn(visit: Visit, orderId: string, ...statuses: readonly string[]): Promise<Order> {
  const path = `/api/v2/orders/${orderId}`
  const ask = async () => (await visit.request<Order>('GET', path, { shown: false })).body
  return visit.show(
    `GET ${path}, until it is ${statuses.join(' or ')}`,
    () =>
      visit.until(`The order ${orderId} did not become ${statuses.join(' or ')}`, ask, ({ state }) =>
        statuses.includes(state.name),
      ),
    ({ revision, state }) => JSON.stringify({ revision, state }),
  )
}

/** An e-mail in the mail server's stand-in. */
export type Email = { readonly subject: string; readonly to: readonly string[]; readonly messageId: string }

/** Waits for the e-mails whose subject holds a text, and shows them. */
export function emailsAbout(visit: Visit, text: string, count: number): Promise<readonly Email[]> {
  return emails(visit, `subject=${encodeURIComponent(text)}`, count)
}

/** Waits for an e-mail to an address with this subject, and shows it. */
export function emailsTo(visit: Visit, address: string, subject: string): Promise<readonly Email[]> {
  return emails(visit, `to=${encodeURIComponent(address)}&subject=${encodeURIComponent(subject)}`, 1)
}

function emails(visit: Visit, query: string, count: number): Promise<readonly Email[]> {
  const url = `${visit.shop.pageOf('mail')}/api/messages?${query}`
  const ask = async () => (await (await fetch(url, { signal: visit.signal })).json()) as Email[]
  return visit.show(
    `GET ${url}`,
    () => visit.until(`${count} e-mails of ${query} did not arrive`, ask, (found) => found.length >= count),
    (found) => `to ${found[0]?.to.join(', ')}: ${found.map(({ subject }) => subject).join(' · ')}`,
  )
}

/** The bank's own account of one order: `captured`, `refunded`, or undefined where it was never asked. */
export async function chargeOf(visit: Visit, orderId: string): Promise<{ readonly status: string } | undefined> {
  const { address, port } = visit.shop.layout.externals.bank?.listen ?? { address: '', port: 0 }
  const response = await fetch(`http://${address}:${port}/charges`, { signal: visit.signal })
  const charges = (await response.json()) as { id: string; status: string }[]
  return charges.find(({ id }) => id === `pay-${orderId}`)
}

/** Registers a customer of this walk; answers its id. */
export async function registerCustomer(visit: Visit, name = 'Ada Demo'): Promise<string> {
  const { status, body } = await visit.request<{ readonly customerId: string }>('POST', '/api/v1/customers', {
    at: 'customers',
    headers: { 'idempotency-key': `customer-${visit.token}` },
    body: { name, emailAddress: `demo-${visit.token}@customers.example` },
  })
  must(status === 201, `The customer was not registered: ${status} ${JSON.stringify(body)}`)
  return body.customerId
}
