import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { partnerOf } from '../bulk.ts'
import { readEvents, type ServerEvent } from '../events.ts'
import { placeOrder } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

const { listOrders, processOrders, uploadOrders } = OrderService.method

/** Streaming: a browser reads server-sent events, which the gateway reads from orders as a gRPC stream. */
export const grpcStreamingRow: Row = {
  number: 3,
  name: 'grpc-streaming',
  pattern: 'gRPC streaming: live updates resumed, orders in bulk',
  services: ['gateway', 'orders'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit)
    const path = `/api/v2/orders/${orderId}/updates`
    const told = (events: readonly ServerEvent[]) =>
      events.map(({ id, data }) => `${stateOf(data)} (${id})`).join(' · ')
    const all = await visit.show(`GET ${path}, as it happens`, () => readEvents(visit, path, 3), told)
    must(statuses(all) === 'placed, confirmed, shipped', `The updates were ${statuses(all)}`)
    const lastRead = all[0]?.id ?? ''
    const resumed = () => readEvents(visit, path, 2, lastRead)
    const rest = await visit.show(`GET ${path}  last-event-id: ${lastRead}`, resumed, told)
    must(statuses(rest) === 'confirmed, shipped', `After the first one there came ${statuses(rest)}`)
    await inBulk(visit)
  },
  inspect(spans) {
    const streams = spans.filter(({ kind, name }) => kind === 'SERVER' && name?.endsWith('/streamorderupdates'))
    must(streams.length === 2, `The trace has ${streams.length} streams of orders, instead of two`)
    return `orders streamed ${streams.length} times to the gateway`
  },
}

function statuses(events: readonly ServerEvent[]): string {
  return events.map(({ data }) => stateOf(data)).join(', ')
}

function stateOf(data: ServerEvent['data']): string {
  return String((data.state as { readonly name?: string } | undefined)?.name)
}

/** A partner hands in orders in one stream, converses in another, and lists what it has. */
async function inBulk(visit: Visit): Promise<void> {
  const partner = partnerOf(visit)
  const customerId = `partner-${visit.token}`
  const order = (line: number, quantity = 1) => ({
    order: { customerId, idempotencyKey: `${visit.token}-${line}`, lines: [{ productId: 'p-1', quantity }] },
  })
  const summary = await visit.show(
    'grpc UploadOrders, three in one stream, the second of 0 pieces',
    () => partner.upload(uploadOrders, [order(1), order(2, 0), order(3)]),
    ({ received, placed, refused }) =>
      `${received} received, ${placed} placed, refused: ${refused.map(({ line, code }) => `line ${line} ${code}`).join()}`,
  )
  must(summary.placed === 2 && summary.refused[0]?.line === 2, 'The summary does not name the refused line')
  const answers = await visit.show(
    'grpc ProcessOrders, the first again and a new one, an answer for each',
    () => partner.converse(processOrders, [order(1), order(4)]),
    (found) => found.map(({ line, outcome }) => `line ${line} ${outcome.case}`).join(', '),
  )
  must(answers.map(({ outcome }) => outcome.case).join() === 'replayed,placed', 'Not every request has its answer')
  const listed = await visit.show(
    'grpc ListOrders of this partner, until the read model has them',
    () =>
      visit.until(
        'Not all were listed',
        () => partner.list(listOrders, { customerId }),
        ({ length }) => length === 3,
      ),
    (found) => `${found.length} orders`,
  )
  must(listed.length === 3, `${listed.length} orders are listed`)
}
