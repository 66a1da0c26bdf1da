import { replay } from '#mesh/cli/replay.ts'
import { ask, askShown } from '../operations.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { queryAs } from '../postgres.ts'
import { must, type Row, type Visit } from '../row.ts'
import { publishedIn } from '../trace.ts'

type Windows = {
  readonly generation: number
  readonly watermark: string | null
  readonly lateEvents: number
  readonly windows: readonly { readonly start: string; readonly placed: number; readonly confirmed: number }[]
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
    const before = await visit.show(
      'select from kit.stream_state and kit.stream_windows, as the role analytics',
      () => visit.until('Analytics did not follow the order', () => knownOf(visit, orderId), isWhole),
      inWords,
    )
    // A window is closed once events of a later time have come, which takes a minute or two: what is closed is shown.
    const windows = await askShown<Windows>(visit, 'analytics', 'windows', [], (answer) =>
      [
        `${answer.windows.length} windows are closed, up to ${answer.watermark}; ${answer.lateEvents} late events`,
        ...answer.windows
          .slice(0, 1)
          .map(({ start, placed, confirmed }) => `of ${start}: ${placed} placed, ${confirmed} confirmed`),
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
    // Others order, too, so that the minute may have counted on.
    const isSame = ({ state, minute }: Known) =>
      JSON.stringify(state) === JSON.stringify(before.state) && minute.placed >= before.minute.placed
    await visit.show(
      'the same select again',
      () => visit.until('What was rebuilt is not what it was', () => knownOf(visit, orderId), isSame),
      ({ generation, minute }) =>
        `generation ${generation} knows the same of the order; ${minute.placed} placed in that minute`,
    )
    must(after.generation > windows.generation, 'What is read is not what was rebuilt')
    for (const window of windows.windows) {
      const again = after.windows.find(({ start }) => start === window.start)
      must(counted(again) === counted(window), `The window of ${window.start} became ${counted(again)}`)
    }
  },
  inspect(spans) {
    must(publishedIn(spans).includes('OrderFact'), 'Analytics has not published what it put together')
    const taken = spans.filter(
      ({ kind, localEndpoint }) => kind === 'CONSUMER' && localEndpoint?.serviceName === 'analytics',
    )
    const topics = [...new Set(taken.flatMap(({ tags }) => tags?.['messaging.destination.name'] ?? []))].sort()
    return `analytics read ${topics.join(', ')} and published OrderFact`
  },
}

/** What analytics knows of an order, and what it has counted so far in the minute in which that was placed. */
type Known = {
  readonly generation: number
  readonly state: Readonly<Record<string, unknown>>
  readonly minute: { readonly start: string; readonly placed: number }
}

const nothing: Known = { generation: 0, state: {}, minute: { start: 'none', placed: 0 } }

async function knownOf({ shop }: Visit, orderId: string): Promise<Known> {
  const [row] = await queryAs<{ generation: number; state: Known['state']; start: Date; placed: number }>(
    shop,
    'analytics',
    'analytics',
    selectKnown,
    [orderId],
  )
  if (!row) return nothing
  const { generation, state, start, placed } = row
  return { generation, state, minute: { start: start.toISOString(), placed } }
}

/** What each of the order's events adds; they come over three topics, in any order. */
const facts = ['placedAtMs', 'paymentId', 'confirmedAtMs', 'shipmentId', 'shippedAtMs']
const isWhole = ({ state }: Known) => facts.every((fact) => fact in state)

function inWords({ generation, state, minute }: Known): string {
  return `generation ${generation} knows of the order ${Object.keys(state).join(', ')}; ${minute.placed} placed in the minute of ${minute.start}`
}

const selectKnown = `
  select generation, known.state, to_timestamp(starts_ms / 1000) as start, sum(amount)::int as placed
  from kit.streams join kit.stream_state as known using (stream, generation) join kit.stream_windows using (stream, generation)
  where streams.state = 'active' and key = $1 and counter = 'placed' and starts_ms = began_ms / 60000 * 60000
  group by generation, known.state, starts_ms`

/** What a window counts, without when that was found out. */
function counted(window: object | undefined): string {
  return JSON.stringify({ ...window, closedAt: undefined })
}
