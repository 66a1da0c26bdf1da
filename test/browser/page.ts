/** What runs in the page: a client of the contract over gRPC-Web, as any web front end would have it. Bundled for the test. */
import { Code, ConnectError, createClient } from '@connectrpc/connect'
import { createGrpcWebTransport } from '@connectrpc/connect-web'
import { BadRequestSchema, ErrorInfoSchema } from '#proto/google/rpc/error_details_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'

/** What became of a call: `ok`, or the code of an error with what its details say. */
export type Outcome = {
  readonly code: string
  readonly message: string
  readonly reason?: string | undefined
  readonly fields?: readonly string[]
  readonly orderId?: string | undefined
}

/** What the test may ask of the page. */
export type Page = {
  readonly getOrder: (orderId: string, timeoutMs?: number) => Promise<Outcome>
  readonly listOrders: () => Promise<Outcome>
  /** Tells `heard` each position as it comes; resolves when the stream is over. */
  readonly follow: (orderId: string, timeoutMs?: number) => Promise<Outcome>
  readonly stop: () => void
}

declare const window: { page: Page; heard: (position: string) => Promise<void>; location: { search: string } }

const baseUrl = new URLSearchParams(window.location.search).get('api') ?? ''
const client = createClient(OrderService, createGrpcWebTransport({ baseUrl }))
let leaving = new AbortController()

const within = (timeoutMs: number | undefined) => (timeoutMs === undefined ? {} : { timeoutMs })

window.page = {
  getOrder: (orderId, timeoutMs) =>
    outcomeOf(async () => (await client.getOrder({ orderId }, within(timeoutMs))).order?.orderId),
  listOrders: () =>
    outcomeOf(async () => {
      for await (const { order } of client.listOrders({})) return order?.orderId
      return undefined
    }),
  follow: (orderId, timeoutMs) => {
    leaving = new AbortController()
    const options = { signal: leaving.signal, ...within(timeoutMs) }
    return outcomeOf(async () => {
      for await (const { position } of client.streamOrderUpdates({ orderId }, options)) await window.heard(position)
      return undefined
    })
  },
  stop: () => leaving.abort(),
}

async function outcomeOf(call: () => Promise<string | undefined>): Promise<Outcome> {
  try {
    return { code: 'ok', message: '', orderId: (await call()) ?? undefined }
  } catch (thrown) {
    const error = ConnectError.from(thrown)
    const [info] = error.findDetails(ErrorInfoSchema)
    const [bad] = error.findDetails(BadRequestSchema)
    return {
      code: Code[error.code] ?? String(error.code),
      message: error.rawMessage,
      reason: info?.reason,
      fields: bad?.fieldViolations.map(({ field }) => field) ?? [],
    }
  }
}
