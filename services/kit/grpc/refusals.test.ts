import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import { socketFolder, type TestApp, testApp } from '../app/app-fixture.ts'
import { invalidArgument, notFound, type ServiceError } from '../errors.ts'
import { client } from './client.ts'
import { type Handlers, implement } from './implementation.ts'
import { silentOrders } from './orders-fixture.ts'
import { grpcServer } from './server.ts'

const orders = service('orders', { exposes: [OrderService] })
const caller = service('caller', {
  edges: [calls(OrderService, ['getOrder', 'processOrders'], { deadlineMs: 1_500 })],
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
  const calling = testApp(caller, { calls: { [OrderService.typeName]: { callee: 'orders', address } } })
  return client(calling, OrderService)
}

async function refusalOf(thrown: Error): Promise<ServiceError> {
  const calling = await start({ getOrder: () => Promise.reject(thrown) })
  return calling.getOrder({}).then(
    () => Promise.reject(new Error('The call was answered.')),
    (refusal) => refusal,
  )
}

test('the end of a call that was answered is no cancellation', async () => {
  let signal: AbortSignal | undefined
  const getOrder: Handlers<typeof OrderService>['getOrder'] = async (_request, call) => {
    signal = call.signal
    return {}
  }
  await (await start({ getOrder })).getOrder({})
  await app?.stop()
  expect(signal?.aborted).toBe(false)
})

describe('a refusal reaches the caller', () => {
  test('though it quotes half a character of theirs', async () => {
    const refusal = await refusalOf(notFound(`There is no order ${'o😀'.slice(0, 2)}`))
    expect(refusal).toMatchObject({ code: 'not-found', message: 'There is no order o\ufffd' })
  })

  test('though it says more than headers hold', async () => {
    const violations = Array.from({ length: 10_000 }, (_, index) => ({
      field: `lines[${index}].quantity`,
      code: 'out-of-range',
      message: 'y'.repeat(10_000),
    }))
    const refusal = await refusalOf(invalidArgument('x'.repeat(100_000), ...violations))
    expect([refusal.code, refusal.violations.length]).toEqual(['invalid-argument', 20])
    expect(refusal.violations[0]).toMatchObject({ field: 'lines[0].quantity', code: 'out-of-range' })
  })

  test('who has not sent everything yet, and so do answers after the last request that was read', async () => {
    const calling = await start({
      async *processOrders(requests) {
        let taken = 0
        for await (const { order } of requests) {
          if (++taken < 3) continue
          if (order?.customerId === 'wrong') throw invalidArgument('This is wrong.')
          break
        }
        yield { line: taken }
      },
    })
    async function* endless(customerId: string) {
      for (;;) yield { order: { customerId } }
    }
    const lines = []
    for await (const { line } of calling.processOrders(endless('right'))) lines.push(line)
    expect(lines).toEqual([3])
    const read = async () => {
      for await (const _ of calling.processOrders(endless('wrong')));
    }
    await expect(read()).rejects.toMatchObject({ code: 'invalid-argument', message: 'This is wrong.' })
  })
})
