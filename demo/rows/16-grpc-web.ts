import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcWebTransport } from '@connectrpc/connect-web'
import { OrderService, OrderStatus } from '#proto/parley/orders/v1/orders_pb.ts'
import { placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'
import { traceHeaders } from '../visit.ts'

/** gRPC for browsers: the client that a page has, by `fetch`, through the Envoy of orders that translates. */
export const grpcWebRow: Row = {
  number: 16,
  name: 'grpc-web',
  pattern: 'gRPC for browsers: a page follows an order by gRPC-Web',
  services: ['gateway', 'orders'],
  async walk(visit) {
    const { shop, signal, traceId } = visit
    const baseUrl = shop.edgeOf('orders')
    const orders = createClient(OrderService, createGrpcWebTransport({ baseUrl }))
    const options = () => ({ signal, headers: traceHeaders(traceId) })
    const { orderId } = await placeOrder(visit)

    const followed = await visit.show(
      `gRPC-Web ${baseUrl} StreamOrderUpdates ${orderId}, as it happens`,
      async () => {
        const told: string[] = []
        // A page that only stops reading leaves the stream open; one that aborts ends the work of orders too.
        const leaving = new AbortController()
        const live = { ...options(), signal: AbortSignal.any([signal, leaving.signal]) }
        for await (const { update } of orders.streamOrderUpdates({ orderId }, live)) {
          if (update) told.push(named(update.status))
          if (told.length === 3) break
        }
        leaving.abort()
        return told.join(', ')
      },
      (told) => told,
    )
    must(followed === 'placed, confirmed, shipped', `The updates were ${followed}`)

    const read = () => orders.getOrder({ orderId }, options())
    const { order } = await visit.show(
      `gRPC-Web GetOrder ${orderId}`,
      read,
      (answer) => `version ${answer.order?.version}, tracking number ${answer.order?.trackingNumber}`,
    )
    must(order?.trackingNumber, 'A shipped order has no tracking number')

    const refused = () =>
      orders.createOrder({}, options()).then(
        () => 'Ok',
        (error: unknown) => Code[ConnectError.from(error).code],
      )
    const code = await visit.show('gRPC-Web CreateOrder, which is not open', refused, String)
    must(code === 'Unimplemented', `What is not open was answered by ${code}`)

    const path = `/${OrderService.typeName}/GetOrder`
    const allowed = await visit.show(
      'what a browser asks first, for a page of https://shop.example and of https://evil.example',
      () =>
        Promise.all(
          ['https://shop.example', 'https://evil.example'].map((origin) => mayCall(baseUrl + path, origin, signal)),
        ),
      ([ours, theirs]) => `the first ${ours ? 'may' : 'may not'} call · the second ${theirs ? 'may' : 'may not'}`,
    )
    must(allowed[0] === 'https://shop.example' && allowed[1] === null, `Pages may call from ${allowed.join(', ')}`)
  },
  inspect(spans) {
    const streams = spans.filter(({ kind, name }) => kind === 'SERVER' && name?.endsWith('/streamorderupdates'))
    must(streams.length === 1, `The trace has ${streams.length} streams of orders, instead of one`)
    return 'orders was called by its edge, without the gateway'
  },
}

function named(status: OrderStatus): string {
  const [name = String(status)] = Object.entries(OrderStatus).find(([, value]) => value === status) ?? []
  return name.toLowerCase()
}

/** The origin that a browser is told may call; null for none. */
async function mayCall(url: string, origin: string, signal: AbortSignal): Promise<string | null> {
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-grpc-web' }
  return (await fetch(url, { method: 'OPTIONS', headers, signal })).headers.get('access-control-allow-origin')
}
