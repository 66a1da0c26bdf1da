import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { ServerReflection } from '#proto/grpc/reflection/v1/reflection_pb.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { socketFolder, type TestApp, testApp } from '../app/app-fixture.ts'
import { withDeadline } from '../deadline.ts'
import { isServiceError, ServiceError } from '../errors.ts'
import { client } from './client.ts'
import { type Handlers, implement } from './implementation.ts'
import { inOrder } from './in-order.ts'
import { silentOrders } from './orders-fixture.ts'
import { grpcServer } from './server.ts'

const orders = service('orders', { exposes: [OrderService] })
const caller = service('caller', {
  edges: [
    calls(OrderService, ['listOrders', 'streamOrderUpdates', 'uploadOrders', 'processOrders'], { deadlineMs: 10_000 }),
    calls(ServerReflection, ['serverReflectionInfo'], { deadlineMs: 10_000 }),
  ],
})
const sockets = socketFolder()
let app: TestApp<typeof orders> | undefined
let sequence = 0

afterEach(() => app?.stop())
afterAll(() => sockets.remove())

async function start(given: Partial<Handlers<typeof OrderService>>) {
  const address = sockets.at(`orders${++sequence}`)
  app = testApp(orders, { listen: address })
  await app.add('grpc', grpcServer(app, implement(OrderService, { ...silentOrders, ...given })))
  const target = { callee: 'orders', address }
  const calling = testApp(caller, { calls: { [OrderService.typeName]: target, [ServerReflection.typeName]: target } })
  const reflection = client(calling, ServerReflection)
  return { ...client(calling, OrderService), reflect: reflection.serverReflectionInfo }
}

/** Requests without end, and how many of them were taken. */
function endless(bytes = 0) {
  const taken = { count: 0 }
  async function* requests() {
    for (;;) {
      taken.count += 1
      yield { order: { idempotencyKey: 'k'.repeat(bytes), lines: [{ quantity: taken.count }] } }
    }
  }
  return { taken, requests: requests() }
}

async function some(count: number) {
  return Array.from({ length: count }, (_, index) => ({ order: { idempotencyKey: `k-${index}` } }))
}

async function* each<T>(items: Promise<readonly T[]>) {
  yield* await items
}

describe('client streaming', () => {
  test('is answered once, at the end', async () => {
    const calling = await start({
      async uploadOrders(requests) {
        let received = 0
        for await (const { order } of requests) expect(order?.idempotencyKey).toBe(`k-${received++}`)
        return { received }
      },
    })
    expect(await calling.uploadOrders(each(some(2_000)))).toMatchObject({ received: 2_000 })
    expect(await calling.uploadOrders(each(some(0)))).toMatchObject({ received: 0 })
  })

  test('that goes on for ever ends when the callee refuses it, or has heard enough', async () => {
    const calling = await start({
      async uploadOrders(requests) {
        let received = 0
        for await (const { order } of requests) {
          received += 1
          if (received === 10 && order?.idempotencyKey === '') throw new ServiceError('overloaded', 'Ten are enough.')
          if (received === 20) break
        }
        return { received }
      },
    })
    await expect(calling.uploadOrders(endless().requests)).rejects.toMatchObject({
      code: 'overloaded',
      message: 'Ten are enough.',
    })
    const { taken, requests } = endless(10_000)
    expect(await calling.uploadOrders(requests)).toMatchObject({ received: 20 })
    const count = taken.count
    await sleep(50)
    expect(taken.count).toBe(count)
  })

  test('with one message that is too large is refused as overloaded, and the next call goes on', async () => {
    const calling = await start({
      async uploadOrders(requests) {
        for await (const _ of requests);
        return { received: 1 }
      },
    })
    async function* large() {
      yield { order: { idempotencyKey: 'k'.repeat(256 * 1024) } }
    }
    await expect(calling.uploadOrders(large())).rejects.toMatchObject({ code: 'overloaded' })
    expect(await calling.uploadOrders(each(some(1)))).toMatchObject({ received: 1 })
  })

  test('ends with what its source throws, and the callee is told', async () => {
    const told = Promise.withResolvers<unknown>()
    const received = Promise.withResolvers<void>()
    const calling = await start({
      async uploadOrders(requests, { signal }) {
        signal.addEventListener('abort', () => told.resolve(signal.reason))
        for await (const _ of requests) received.resolve()
        return {}
      },
    })
    async function* breaking() {
      yield {}
      await received.promise
      throw new ServiceError('failed-precondition', 'The file ended in the middle.')
    }
    await expect(calling.uploadOrders(breaking())).rejects.toThrow('The file ended in the middle.')
    expect(isServiceError(await told.promise, 'cancelled')).toBe(true)
  })
})

describe('a slow reader', () => {
  const listed = { order: { orderId: 'o'.repeat(1_000) } }

  test('holds the callee back', async () => {
    let made = 0
    const calling = await start({
      async *listOrders() {
        for (; made < 100_000; made += 1) yield listed
      },
    })
    let read = 0
    for await (const _ of calling.listOrders({})) {
      read += 1
      if (read === 10) {
        await sleep(300)
        break
      }
    }
    // A window of HTTP/2 and two buffers of a stream; without back-pressure it would be all of them.
    expect(made).toBeLessThan(1_000)
  })

  test('of requests holds the caller back', async () => {
    const { taken, requests } = endless(1_000)
    const calling = await start({
      async uploadOrders(requests) {
        for await (const _ of requests) {
          await sleep(300)
          break
        }
        return { received: 1 }
      },
    })
    expect(await calling.uploadOrders(requests)).toMatchObject({ received: 1 })
    // A window of HTTP/2 and two buffers of a stream; what is kept for a retry would be a megabyte more.
    expect(taken.count).toBeLessThan(300)
  })

  test('of answers holds back the requests, and hears of each in order', async () => {
    let working = 0
    let most = 0
    const calling = await start({
      processOrders: (requests) =>
        inOrder(requests, 8, async ({ order }) => {
          most = Math.max(most, ++working)
          await sleep(Math.random() * 3)
          working -= 1
          const refused = { message: 'x'.repeat(5_000) }
          return { line: order?.lines[0]?.quantity ?? 0, outcome: { case: 'refused' as const, value: refused } }
        }),
    })
    const { taken, requests } = endless(5_000)
    let read = 0
    for await (const { line } of calling.processOrders(requests)) {
      expect(line).toBe(++read)
      if (read < 50) continue
      // Once the buffers on the way are full nothing more is taken, however long the reader waits.
      await sleep(300)
      const taken300 = taken.count
      await sleep(300)
      expect(taken.count).toBe(taken300)
      break
    }
    expect(most).toBe(8)
  })
})

describe('results in order', () => {
  test('do not wait for the next item, and end the source when their reader stops', async () => {
    let ended = false
    async function* slow() {
      try {
        yield 1
        await sleep(300)
        yield 2
        yield 3
      } finally {
        ended = true
      }
    }
    const beganMs = performance.now()
    const seen: number[] = []
    for await (const result of inOrder(slow(), 4, async (item) => item * 10)) {
      if (seen.length === 0) expect(performance.now() - beganMs).toBeLessThan(250)
      seen.push(result)
      if (seen.length === 2) break
    }
    expect(seen).toEqual([10, 20])
    await sleep(10)
    expect(ended).toBe(true)
  })
})

describe('a stream that never ends', () => {
  const forever: Partial<Handlers<typeof OrderService>> = {
    async *streamOrderUpdates(_request, { signal }) {
      yield { position: '1' }
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    },
  }

  test('is told to go on elsewhere when the server closes, and does not hold it up', async () => {
    const calling = await start(forever)
    const seen: string[] = []
    let stopped: Promise<void> | undefined
    async function* silent() {
      yield {}
      await new Promise(() => undefined)
    }
    const reflect = async () => {
      for await (const _ of calling.reflect(silent()));
    }
    const reflected = expect(reflect()).rejects.toMatchObject({ code: 'unavailable' })
    const read = async () => {
      for await (const { position } of calling.streamOrderUpdates({})) {
        seen.push(position)
        stopped = app?.stop()
      }
    }
    await expect(read()).rejects.toMatchObject({ code: 'unavailable' })
    await stopped
    await reflected
    expect(seen).toEqual(['1'])
  }, 10_000)

  test('ends at its deadline, and the callee is told', async () => {
    const told = Promise.withResolvers<unknown>()
    const calling = await start({
      async *streamOrderUpdates(request, call) {
        call.signal.addEventListener('abort', () => told.resolve(call.signal.reason))
        yield* forever.streamOrderUpdates?.(request, call) ?? []
      },
    })
    const read = withDeadline(100, async () => {
      for await (const _ of calling.streamOrderUpdates({}));
    })
    await expect(read).rejects.toMatchObject({ code: 'deadline-exceeded' })
    expect(isServiceError(await told.promise, 'deadline-exceeded', 'cancelled')).toBe(true)
  })
})
