import { must, type Row } from '../row.ts'

/** REST outside: resources, status codes, problem documents, and a key that makes a repetition harmless. */
export const restRow: Row = {
  number: 1,
  name: 'rest',
  pattern: 'REST: the public API, safe to repeat',
  services: ['gateway', 'orders'],
  async walk({ request, token, until }) {
    const body = { customerId: 'c-demo', items: [{ productId: 'p-1', quantity: 2 }] }
    const headers = { 'idempotency-key': `rest-${token}` }
    const place = () => request('POST', '/api/v1/orders', { headers, body })
    // Just started processes may take too long for the first one: then a client asks again, under the same key.
    const first = await until('No answer', place, ({ status }) => status < 500, 1_000)
    must(first.status === 201, `An order is answered by 201, not ${first.status}`)
    const location = first.headers.get('location') ?? ''
    must(location === `/api/v1/orders/${first.body.orderId}`, `The location is ${location}`)

    const again = await place()
    must(again.body.orderId === first.body.orderId, 'The same key made a second order')
    must(again.headers.get('idempotency-replayed') === 'true', 'A repetition does not say that it is one')
    const other = await request('POST', '/api/v1/orders', {
      headers,
      body: { ...body, items: [{ productId: 'p-1', quantity: 3 }] },
    })
    must(other.status === 422, `A key that stands for two requests is answered by 422, not ${other.status}`)

    must((await request('GET', location)).status === 200, 'The order is not where its location says')
    const missing = await request('GET', '/api/v1/orders/nobody')
    must(missing.status === 404 && missing.body.code === 'not-found', 'What is not there is no problem document')
  },
}
