import { must, type Visit } from './row.ts'

/** An order as the gateway shows it. */
export type Order = {
  readonly orderId: string
  readonly status: string
  readonly stockCheck: string
  readonly fulfilment: string
  readonly cancelReason?: string
  readonly trackingNumber?: string
  readonly version: number
  readonly total: { readonly currency: string; readonly minorUnits: number }
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
  const wish = { customerId, items: [{ productId, quantity }], paymentMethod, fulfilment }
  const headers = { 'idempotency-key': key }
  const ask = () => visit.request<Order>('POST', '/api/v1/orders', { headers, body: wish, shown })
  // As any client with an idempotency key: what took too long is asked again. Just started processes take long.
  const { status, body } = await visit.until('No answer', ask, ({ status: is }) => is !== 503 && is !== 504, 1_000)
  must(status === 201, `The order was not accepted: ${status} ${JSON.stringify(body)}`)
  return body
}

/** Waits until an order has one of these statuses, and shows how it is then. */
export async function orderIn(visit: Visit, orderId: string, ...statuses: readonly string[]): Promise<Order> {
  const path = `/api/v1/orders/${orderId}`
  const ask = async () => (await visit.request<Order>('GET', path, { shown: false })).body
  return visit.show(
    `GET ${path}, until it is ${statuses.join(' or ')}`,
    () =>
      visit.until(`The order ${orderId} did not become ${statuses.join(' or ')}`, ask, ({ status }) =>
        statuses.includes(status),
      ),
    ({ status, version, cancelReason, trackingNumber }) =>
      JSON.stringify({ status, version, cancelReason, trackingNumber }),
  )
}

/** An e-mail in the mail server's stand-in. */
export type Email = { readonly subject: string; readonly to: readonly string[]; readonly messageId: string }

/** Waits for the e-mails whose subject holds a text, and shows them. */
export async function emailsAbout(visit: Visit, text: string, count: number): Promise<readonly Email[]> {
  const url = `${visit.shop.pageOf('mail')}/api/messages?subject=${encodeURIComponent(text)}`
  const ask = async () => (await (await fetch(url, { signal: visit.signal })).json()) as Email[]
  return visit.show(
    `GET ${url}`,
    () => visit.until(`${count} e-mails about ${text} did not arrive`, ask, (found) => found.length >= count),
    (found) => found.map(({ to, subject }) => `to ${to.join(', ')}: ${subject}`).join(' · '),
  )
}

/** The bank's own account of one order: `captured`, `refunded`, or undefined where it was never asked. */
export async function chargeOf(visit: Visit, orderId: string): Promise<{ readonly status: string } | undefined> {
  const { address, port } = visit.shop.layout.externals.bank?.listen ?? { address: '', port: 0 }
  const response = await fetch(`http://${address}:${port}/charges`, { signal: visit.signal })
  const charges = (await response.json()) as { id: string; status: string }[]
  return charges.find(({ id }) => id === `pay-${orderId}`)
}
