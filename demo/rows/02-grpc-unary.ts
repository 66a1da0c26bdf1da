import { placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

/** gRPC inside: two calls, one behind the other, each with a deadline of its own. */
export const grpcUnaryRow: Row = {
  number: 2,
  name: 'grpc-unary',
  pattern: 'gRPC unary: gateway → orders → inventory',
  services: ['gateway', 'orders', 'inventory'],
  withinMs: 45_000,
  async walk(visit) {
    // Orders does without inventory while that one is cold, or for 30 s after an outage.
    let tries = 0
    const place = () => placeOrder(visit, { key: `unary-${visit.token}-${++tries}`, shown: false })
    const checked = () =>
      visit.until('The stock was not checked', place, ({ stockCheck }) => stockCheck === 'available')
    await visit.show(
      'POST /api/v2/orders',
      checked,
      ({ orderId, stockCheck }) => `201 ${JSON.stringify({ orderId, stockCheck })}`,
    )
  },
  inspect(spans) {
    const calls = ['CreateOrder', 'CheckStock'].map((method) => {
      const of = (kind: string) =>
        spans.find((span) => span.kind === kind && span.name?.endsWith(`/${method.toLowerCase()}`))
      const [from, to] = [of('CLIENT')?.localEndpoint?.serviceName, of('SERVER')?.localEndpoint?.serviceName]
      must(from && to, `The call of ${method} is not in the trace with both its ends`)
      return `${from} → ${to}.${method}`
    })
    return calls.join(', ')
  },
}
