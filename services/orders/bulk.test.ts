import { create, toBinary } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import { runInContext } from '#kit/context.ts'
import { type ErrorCode, errorCodes, invalidArgument, ServiceError } from '#kit/errors.ts'
import { messageBytesMax } from '#kit/grpc/limits.ts'
import { silentLog } from '#kit/telemetry/log.ts'
import {
  OrderSchema,
  UploadOrdersRequestSchema,
  UploadOrdersResponseSchema,
} from '#proto/parley/orders/v1/orders_pb.ts'
import { uploadOrders } from './bulk.ts'

const request = create(UploadOrdersRequestSchema, { order: { idempotencyKey: 'k' } })
const order = create(OrderSchema, {})

async function* lines(count: number, idempotencyKey = 'k') {
  const each = idempotencyKey === 'k' ? request : create(UploadOrdersRequestSchema, { order: { idempotencyKey } })
  for (let line = 0; line < count; line += 1) yield each
}

describe('an upload', () => {
  test('without an end is refused, and what came before stays placed', async () => {
    let placed = 0
    const place = async () => {
      placed += 1
      return { order, replayed: false }
    }
    const upload = uploadOrders(lines(Number.POSITIVE_INFINITY), place, silentLog)
    await expect(upload).rejects.toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('10000') })
    expect(placed).toBe(10_000)
    expect(await uploadOrders(lines(10_000), place, silentLog)).toMatchObject({ received: 10_000, refused: [] })
  })

  test.each(['k'.repeat(255), '\u20ac'.repeat(1_000), '\u{1f33b}'.repeat(1_000), ''])(
    'of which every line is refused at length has a summary that can be sent (key %#)',
    async (key) => {
      const codes = Object.keys(errorCodes) as ErrorCode[]
      const longest = codes.reduce((a, b) => (b.length > a.length ? b : a))
      const refuse = () => Promise.reject(new ServiceError(longest, '\u20ac'.repeat(1_000)))
      const summary = await uploadOrders(lines(10_000, key), refuse, silentLog)
      expect(summary.refused).toHaveLength(10_000)
      const bytes = toBinary(UploadOrdersResponseSchema, create(UploadOrdersResponseSchema, summary)).length
      expect(bytes).toBeLessThanOrEqual(messageBytesMax)
    },
  )

  test('keeps a usual message whole', async () => {
    const said = 'The order cannot be placed as it is. '.repeat(8)
    const refuse = () => Promise.reject(invalidArgument(said))
    const { refused } = await uploadOrders(lines(1, crypto.randomUUID()), refuse, silentLog)
    expect(refused[0]?.message).toBe(said)
  })

  test('names a line that failed by our fault without telling how, and ends when its caller has gone', async () => {
    const broken = async () => {
      throw new Error('secret')
    }
    const { refused } = await uploadOrders(lines(1), broken, silentLog)
    expect(refused).toEqual([{ line: 1, idempotencyKey: 'k', code: 'internal', message: 'An internal error' }])
    const gone = new AbortController()
    const reason = new ServiceError('cancelled', 'The caller went away.')
    const place = async () => {
      gone.abort(reason)
      throw new Error('whatever')
    }
    const context = { correlationId: 'c', deadline: null, signal: gone.signal }
    const upload = runInContext(context, () => uploadOrders(lines(5), place, silentLog))
    await expect(upload).rejects.toBe(reason)
  })
})
