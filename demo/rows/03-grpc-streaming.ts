import { readEvents, type ServerEvent } from '../events.ts'
import { placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

/** Streaming: a browser reads server-sent events, which the gateway reads from orders as a gRPC stream. */
export const grpcStreamingRow: Row = {
  number: 3,
  name: 'grpc-streaming',
  pattern: 'gRPC streaming: live updates of an order, resumed',
  services: ['gateway', 'orders'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit)
    const path = `/api/v1/orders/${orderId}/updates`
    const told = (events: readonly ServerEvent[]) => events.map(({ id, data }) => `${data.status} (${id})`).join(' · ')
    const all = await visit.show(`GET ${path}, as it happens`, () => readEvents(visit, path, 3), told)
    must(statuses(all) === 'placed, confirmed, shipped', `The updates were ${statuses(all)}`)
    const lastRead = all[0]?.id ?? ''
    const resumed = () => readEvents(visit, path, 2, lastRead)
    const rest = await visit.show(`GET ${path}  last-event-id: ${lastRead}`, resumed, told)
    must(statuses(rest) === 'confirmed, shipped', `After the first one there came ${statuses(rest)}`)
  },
  inspect(spans) {
    const streams = spans.filter(({ kind, name }) => kind === 'SERVER' && name?.endsWith('/streamorderupdates'))
    must(streams.length === 2, `The trace has ${streams.length} streams of orders, instead of two`)
    return `orders streamed ${streams.length} times to the gateway`
  },
}

function statuses(events: readonly ServerEvent[]): string {
  return events.map(({ data }) => data.status).join(', ')
}
