import { ask, askShown } from '../operations.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'
import { eventsIn } from '../trace.ts'

type Windows = {
  readonly generation: number
  readonly watermark: string | null
  readonly lateEvents: number
  readonly windows: readonly object[]
}

/** Event streaming: a processor puts events of several topics together, publishes what it found, and counts by the minute. */
export const eventStreamingRow: Row = {
  number: 8,
  name: 'event-streaming',
  pattern: 'Event streaming: an enriched topic, and windows by event time',
  services: ['gateway', 'orders', 'analytics'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit)
    await orderIn(visit, orderId, 'shipped')
    // A window is closed once events of a later time have come, which takes a minute or two: what is closed is shown.
    const windows = await askShown<Windows>(visit, 'analytics', 'windows', [], (answer) =>
      [
        `${answer.windows.length} closed windows up to ${answer.watermark}, ${answer.lateEvents} late events`,
        JSON.stringify(answer.windows[0] ?? {}),
      ].join('; '),
    )
    must(windows.generation >= 1, 'Nothing is counted')
    await visit.until(
      'Time did not go on',
      () => ask<Windows>(visit, 'analytics', 'windows'),
      ({ watermark }) => watermark !== null,
    )
  },
  inspect(spans) {
    const facts = eventsIn(spans).filter((name) => name === 'OrderFact')
    must(facts.length > 0, 'Analytics has not published what it put together')
    const taken = spans.filter(
      ({ kind, localEndpoint }) => kind === 'CONSUMER' && localEndpoint?.serviceName === 'analytics',
    )
    const topics = [...new Set(taken.flatMap(({ tags }) => tags?.['messaging.destination.name'] ?? []))].sort()
    return `analytics read ${topics.join(', ')} and published OrderFact`
  },
}
