import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

const placed = 'parley.orders.v1.OrderPlaced'

/** The event bus: orders says once that an order was placed, and each subscriber has a copy of its own. */
export const publishSubscribeRow: Row = {
  number: 7,
  name: 'publish-subscribe',
  pattern: 'Publish/subscribe: one event, a copy for each subscriber',
  services: ['gateway', 'orders'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit)
    await orderIn(visit, orderId, 'shipped')
  },
  inspect(spans, { plan }) {
    const of = (kind: string) =>
      spans.filter((span) => span.kind === kind && span.tags?.['parley.event.type'] === placed)
    must(of('PRODUCER').length === 1, `OrderPlaced was published ${of('PRODUCER').length} times`)
    const id = of('PRODUCER')[0]?.tags?.['messaging.message.id']
    const copies = of('CONSUMER').filter(({ tags }) => tags?.['messaging.message.id'] === id)
    const readers = copies.flatMap(({ localEndpoint }) => localEndpoint?.serviceName ?? []).sort()
    const subscribed = plan.subscriptions
      .filter(({ topic, messages }) => topic === 'orders' && messages.includes(placed))
      .map(({ service }) => service)
      .sort()
    must(
      readers.join() === subscribed.join(),
      `It was handled by ${readers.join(', ')} instead of ${subscribed.join(', ')}`,
    )
    return `OrderPlaced ${id} published once, handled once by each of ${readers.join(', ')}`
  },
}
