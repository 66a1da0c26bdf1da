import { emailsTo, registerCustomer } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

/** REST outside: resources, status codes, problem documents, and a key that makes a repetition harmless. */
export const restRow: Row = {
  number: 1,
  name: 'rest',
  pattern: 'REST: the public API, safe to repeat',
  services: ['gateway', 'orders', 'customers', 'notifications'],
  async walk(visit) {
    const { request, token, until } = visit
    const body = { customerId: 'c-demo', lines: [{ productId: 'p-1', quantity: 2 }] }
    const headers = { 'idempotency-key': `rest-${token}` }
    const worth = { headers: ['idempotency-replayed'], fields: ['orderId', 'total', 'state'] }
    const place = () => request('POST', '/api/v2/orders', { headers, body, worth })
    // Just started processes may take too long for the first one: then a client asks again, under the same key.
    const first = await until('No answer', place, ({ status }) => status < 500, 1_000)
    must(first.status === 201, `An order is answered by 201, not ${first.status}`)
    const location = first.headers.get('location') ?? ''
    must(location === `/api/v2/orders/${first.body.orderId}`, `The location is ${location}`)

    const again = await place()
    must(again.body.orderId === first.body.orderId, 'The same key made a second order')
    must(again.headers.get('idempotency-replayed') === 'true', 'A repetition does not say that it is one')
    const other = await request('POST', '/api/v2/orders', {
      headers,
      body: { ...body, lines: [{ productId: 'p-1', quantity: 3 }] },
    })
    must(other.status === 422, `A key that stands for two requests is answered by 422, not ${other.status}`)

    must((await request('GET', location, { worth })).status === 200, 'The order is not where its location says')
    const missing = await request('GET', '/api/v2/orders/nobody')
    must(missing.status === 404 && missing.body.code === 'not-found', 'What is not there is no problem document')
    await keptByTag(visit)
    await registerCustomer(visit)
    await emailsTo(visit, `demo-${token}@customers.example`, 'Welcome to the shop')
  },
}

/** What a client has already is not sent again: the product has a tag, and is the same as long as that is. */
async function keptByTag({ request }: Visit): Promise<void> {
  const path = '/api/v2/products/p-1'
  const worth = { headers: ['etag', 'cache-control'], fields: ['name', 'price'] }
  const product = await request('GET', path, { worth })
  const tag = product.headers.get('etag')
  must(product.status === 200 && tag, `The product has no tag, and the status ${product.status}`)
  const again = await request('GET', path, { headers: { 'if-none-match': tag }, worth })
  must(again.status === 304, `What the client has already is answered by ${again.status}`)
}
