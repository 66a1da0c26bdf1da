import { placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

/** gRPC inside: two calls, one behind the other, each with a deadline of its own. */
export const grpcUnaryRow: Row = {
  number: 2,
  name: 'grpc-unary',
  pattern: 'gRPC unary: gateway → orders → inventory',
  services: ['gateway', 'orders', 'inventory'],
  async walk(visit) {
    const { stockCheck } = await placeOrder(visit)
    must(stockCheck === 'available', 'Inventory did not answer orders; after an outage its breaker is open for 30 s')
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
