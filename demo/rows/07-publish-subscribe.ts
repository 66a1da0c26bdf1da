import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

/** What nobody who subscribed to it leaves aside: of who leads an order, and who follows by themselves, only some read when one is placed. */
const confirmed = 'parley.orders.v1.OrderConfirmed'

/** The event bus: orders says once that an order is confirmed, and each subscriber has a copy of its own. */
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
      spans.filter((span) => span.kind === kind && span.tags?.['parley.event.type'] === confirmed)
    must(of('PRODUCER').length === 1, `OrderConfirmed was published ${of('PRODUCER').length} times`)
    const id = of('PRODUCER')[0]?.tags?.['messaging.message.id']
    const copies = of('CONSUMER').filter(({ tags }) => tags?.['messaging.message.id'] === id)
    const readers = copies.flatMap(({ localEndpoint }) => localEndpoint?.serviceName ?? []).sort()
    const subscribed = plan.subscriptions
      .filter(({ topic, messages }) => topic === 'orders' && messages.includes(confirmed))
      .map(({ service }) => service)
      .sort()
    must(
      readers.join() === subscribed.join(),
      `It was handled by ${readers.join(', ')} instead of ${subscribed.join(', ')}`,
    )
    return `OrderConfirmed ${id} published once, handled once by each of ${readers.join(', ')}`
  },
}
