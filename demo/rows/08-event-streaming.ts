import { replay } from '#mesh/cli/replay.ts'
import { ask, askShown } from '../operations.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'
import { publishedIn } from '../trace.ts'

type Windows = {
  readonly generation: number
  readonly watermark: string | null
  readonly lateEvents: number
  readonly windows: readonly { readonly start: string }[]
}

/** Event streaming: a processor puts events of several topics together, publishes what it found, and counts by the minute. */
export const eventStreamingRow: Row = {
  number: 8,
  name: 'event-streaming',
  pattern: 'Event streaming: an enriched topic, windows, replayed alike',
  services: ['gateway', 'orders', 'analytics'],
  withinMs: 60_000,
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
    const told: string[] = []
    const done = await visit.show(
      'bin/parley replay analytics --from beginning',
      async () => replay(await visit.shop.admins(), 'analytics', { from: ['beginning'] }, (line) => told.push(line)),
      () => told.at(-1) ?? '',
    )
    must(done, 'The replay did not come to its end')
    const after = await ask<Windows>(visit, 'analytics', 'windows')
    must(after.generation > windows.generation, 'What is read is not what was rebuilt')
    for (const window of windows.windows) {
      const again = after.windows.find(({ start }) => start === window.start)
      must(counted(again) === counted(window), `The window of ${window.start} became ${counted(again)}`)
    }
  },
  inspect(spans) {
    const facts = publishedIn(spans).filter((name) => name === 'OrderFact')
    must(facts.length > 0, 'Analytics has not published what it put together')
    const taken = spans.filter(
      ({ kind, localEndpoint }) => kind === 'CONSUMER' && localEndpoint?.serviceName === 'analytics',
    )
    const topics = [...new Set(taken.flatMap(({ tags }) => tags?.['messaging.destination.name'] ?? []))].sort()
    return `analytics read ${topics.join(', ')} and published OrderFact`
  },
}

/** What a window counts, without when that was found out. */
function counted(window: object | undefined): string {
  return JSON.stringify({ ...window, closedAt: undefined })
}
