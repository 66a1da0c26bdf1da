import { must, type Row } from '../row.ts'

type Versioned = { readonly orderId: string; readonly status?: string; readonly state?: { readonly name: string } }

/** Versions of an API: one order, said for in four ways, and the older version's end announced. */
export const apiVersionsRow: Row = {
  number: 17,
  name: 'api-versions',
  pattern: 'API versions: four ways to say one, and a date for its end',
  services: ['gateway', 'orders'],
  async walk({ request, token }) {
    const body = { customerId: 'c-demo', lines: [{ productId: 'p-1', quantity: 1 }] }
    // What differs: version 2 has a state and amounts as texts, version 1 a status and minor units, and an end.
    const worth = { headers: ['api-version', 'deprecation', 'sunset'], fields: ['total', 'state', 'status'] }
    const headers = { 'idempotency-key': `versions-${token}` }
    const placed = await request<Versioned>('POST', '/api/v2/orders', { headers, body, worth })
    must(placed.status === 201 && placed.body.state, `Version 2 answered ${placed.status}`)
    const { orderId } = placed.body
    const ways = [
      { path: `/api/v1/orders/${orderId}`, headers: {} },
      { path: `/api/orders/${orderId}`, headers: { 'accept-version': '1' } },
      { path: `/api/orders/${orderId}`, headers: { accept: 'application/vnd.parley.v1+json' } },
      { path: `/api/orders/${orderId}?version=1`, headers: {} },
    ]
    for (const { path, headers } of ways) {
      const { status, body: shown, headers: said } = await request<Versioned>('GET', path, { headers, worth })
      must(status === 200 && typeof shown.status === 'string', `${path} answered ${status}, and not in version 1`)
      must(said.get('deprecation') && said.get('sunset'), `${path} does not say when version 1 ends`)
    }
    const unknown = await request('GET', `/api/v9/orders/${orderId}`)
    must(
      unknown.status >= 400 && unknown.status < 500,
      `A version that does not exist is answered by ${unknown.status}`,
    )
  },
}
