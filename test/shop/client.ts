import { randomUUID } from 'node:crypto'
import { eventually, type Stack } from '../stack.ts'

/** What the gateway answered. */
export type Answer = { readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> }

/** An order's request with what tests do not care about filled in. */
export type NewOrder = {
  customerId?: string
  productId?: string
  quantity?: number
  paymentMethod?: string
  fulfilment?: 'choreographed' | 'orchestrated'
  key?: string
}

/** Places an order at the gateway, as the README's curl does. */
export async function placeOrder({ url }: Stack, order: NewOrder = {}): Promise<Answer> {
  const { customerId = 'c-1', productId = 'p-1', quantity = 2, paymentMethod, fulfilment, key = randomUUID() } = order
  return request(`${url}/api/v1/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({
      customerId,
      items: [{ productId, quantity }],
      ...(paymentMethod && { paymentMethod }),
      ...(fulfilment && { fulfilment }),
    }),
  })
}

/** Shows an order. */
export async function getOrder({ url }: Stack, orderId: unknown): Promise<Answer> {
  return request(`${url}/api/v1/orders/${orderId}`)
}

/** Waits until an order has one of these statuses, and gives it. */
export async function orderIn(
  stack: Stack,
  orderId: unknown,
  ...statuses: readonly string[]
): Promise<Record<string, unknown>> {
  const isIn = ({ body }: Answer) => statuses.includes(String(body.status))
  return (await eventually(() => getOrder(stack, orderId), isIn)).body
}

/** The e-mails of the mail server's stand-in whose subject holds a text. */
export async function emailsAbout(
  { layout }: Stack,
  subject: string,
): Promise<{ subject: string; to: string[]; messageId: string }[]> {
  const response = await fetch(`http://${layout.host}:8025/api/messages?subject=${encodeURIComponent(subject)}`)
  return (await response.json()) as { subject: string; to: string[]; messageId: string }[]
}

/** The bank's own account of what it charged. */
export async function chargesOf({
  layout,
}: Stack): Promise<{ id: string; status: string; amount: { minorUnits: number } }[]> {
  const { address, port } = layout.externals.bank?.listen ?? { address: '', port: 0 }
  return (await (await fetch(`http://${address}:${port}/charges`)).json()) as {
    id: string
    status: string
    amount: { minorUnits: number }
  }[]
}

/** Any request; the body is parsed where it is JSON. */
export async function request(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') ?? false
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : { text } }
}
