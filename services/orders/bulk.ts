import { currentContext } from '#kit/context.ts'
import { errorCodes, invalidArgument, ServiceError } from '#kit/errors.ts'
import { inOrder } from '#kit/grpc/in-order.ts'
import { messageBytesMax } from '#kit/grpc/limits.ts'
import type { Log } from '#kit/telemetry/log.ts'
import type {
  CreateOrderRequest,
  Order,
  ProcessOrdersRequest,
  UploadOrdersRequest,
} from '#proto/parley/orders/v1/orders_pb.ts'

/** Places one order; see `place`. */
type Place = (request: CreateOrderRequest) => Promise<{ order: Order; replayed: boolean }>

type Refused = { line: number; idempotencyKey: string; code: string; message: string }
type Outcome =
  | { readonly kind: 'placed' | 'replayed'; readonly line: number; readonly order: Order }
  | { readonly kind: 'refused'; readonly line: number; readonly refused: Refused }

/** At once, for one stream: enough to keep the database busy, few enough that streams do not starve single orders. */
const concurrentMax = 8
const uploadLinesMax = 10_000

const keyBytesMax = 255
const toldBytesMax = 300
const codeBytesMax = Math.max(...Object.keys(errorCodes).map((code) => code.length))
/** A refused line without its texts: five tags, a code after its length of one byte, three lengths of two, its number in two. */
const lineBytesMax = 5 + 1 + codeBytesMax + 3 * 2 + 2
/** Three counts, each with its tag. */
const countsBytesMax = 3 * (1 + 2)
/** What is left to the key and the message of a line, so that a summary in which every line is refused can be sent. */
const textBytesMax = Math.floor((messageBytesMax - countsBytesMax) / uploadLinesMax) - lineBytesMax

/**
 * Places the orders of an upload, and sums up what became of them. A refused line keeps no other from being placed; after
 * a failure of the whole the same lines may be sent again under the same keys.
 */
export async function uploadOrders(requests: AsyncIterable<UploadOrdersRequest>, place: Place, log: Log) {
  const summary = { received: 0, placed: 0, replayed: 0, refused: [] as Refused[] }
  for await (const outcome of outcomes(bounded(requests), place, log)) {
    summary.received += 1
    if (outcome.kind === 'refused') summary.refused.push(outcome.refused)
    else summary[outcome.kind] += 1
  }
  return summary
}

/** Places the orders of a stream and tells of each, in their order. Takes requests no faster than answers are read. */
export async function* processOrders(requests: AsyncIterable<ProcessOrdersRequest>, place: Place, log: Log) {
  for await (const outcome of outcomes(requests, place, log)) {
    const { line } = outcome
    switch (outcome.kind) {
      case 'placed':
        yield { line, outcome: { case: 'placed' as const, value: outcome.order } }
        break
      case 'replayed':
        yield { line, outcome: { case: 'replayed' as const, value: outcome.order } }
        break
      case 'refused':
        yield { line, outcome: { case: 'refused' as const, value: outcome.refused } }
        break
    }
  }
}

function outcomes(
  requests: AsyncIterable<UploadOrdersRequest | ProcessOrdersRequest>,
  place: Place,
  log: Log,
): AsyncIterable<Outcome> {
  return inOrder(requests, concurrentMax, ({ order }, index) => outcomeOf(order, index + 1, place, log))
}

async function* bounded<T>(requests: AsyncIterable<T>): AsyncIterable<T> {
  let lines = 0
  for await (const request of requests) {
    lines += 1
    if (lines > uploadLinesMax) {
      throw invalidArgument(
        `An upload has ${uploadLinesMax} orders at most. Send the others in another one; what came before stays placed.`,
      )
    }
    yield request
  }
}

async function outcomeOf(
  order: CreateOrderRequest | undefined,
  line: number,
  place: Place,
  log: Log,
): Promise<Outcome> {
  try {
    if (!order) throw invalidArgument('The request holds no order')
    const { order: placed, replayed } = await place(order)
    return { kind: replayed ? 'replayed' : 'placed', line, order: placed }
  } catch (thrown) {
    // Whoever sent the line is gone, or out of time: that is the end of the stream, and no fault of the line.
    if (currentContext()?.signal.aborted) throw currentContext()?.signal.reason
    const error = ServiceError.from(thrown)
    if (error.code === 'internal') log.error('A line of a stream of orders failed.', { line, error })
    return { kind: 'refused', line, refused: refusal(error, line, order?.idempotencyKey ?? '') }
  }
}

function refusal(error: ServiceError, line: number, key: string): Refused {
  const { code, violations } = error
  const fields = violations.slice(0, 3).map(({ field, message }) => `${field}: ${message}`)
  const said = code === 'internal' ? 'An internal error' : [error.message, ...fields].join('. ')
  const idempotencyKey = cut(key, keyBytesMax)
  const left = textBytesMax - Buffer.byteLength(idempotencyKey)
  return { line, idempotencyKey, code, message: cut(said, Math.min(left, toldBytesMax)) }
}

/** As many whole characters as fit into so many bytes of UTF-8. */
function cut(text: string, bytesMax: number): string {
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(bytesMax)).read)
}
