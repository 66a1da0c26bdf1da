/** Fulfilment by a leader, on the real parts: the same ends as by choreography, also when the leader is killed again and again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { eventually, type Stack, startShop, startTimeoutMs } from '../stack.ts'
import { chargesOf, emailsAbout, getOrder, orderIn, placeOrder } from './client.ts'

let shop: Stack
beforeAll(async () => {
  shop = await startShop(18)
}, startTimeoutMs)
afterAll(async () => shop?.stop(), 60_000)

type Saga = { sagaId: string; status: string; stuck: string }
const styles = ['choreographed', 'orchestrated'] as const

/** What the leader tells; nothing while it is down. */
async function sagas(): Promise<Saga[]> {
  const { code, stdout } = await shop.parley('saga', 'list', '--json')
  return code === 0 ? (JSON.parse(stdout) as Saga[]) : []
}

/** All that somebody outside sees of an order that has ended. */
async function endOf(orderId: string, mails: number) {
  const { status, cancelReason } = await orderIn(shop, orderId, 'shipped', 'cancelled')
  const about = await eventually(
    () => emailsAbout(shop, orderId),
    (found) => found.length >= mails,
  )
  const charge = (await chargesOf(shop)).find(({ id }) => id === `pay-${orderId}`)
  return {
    status,
    cancelReason,
    held: charge?.status === 'captured' ? charge.amount.minorUnits : 0,
    mails: about.map(({ subject }) => subject.replace(orderId, 'ID')).sort(),
  }
}

describe('an order', () => {
  test.each([
    { what: 'that all goes well with', order: {}, mails: 2, status: 'shipped' },
    { what: 'whose reply from the bank is lost', order: { paymentMethod: 'card-lost' }, mails: 2, status: 'shipped' },
    { what: 'of a declined card', order: { paymentMethod: 'card-declined' }, mails: 1, status: 'cancelled' },
  ])(
    '$what ends in the same state by both styles',
    async ({ order, mails, status }) => {
      const placed = await Promise.all(styles.map((fulfilment) => placeOrder(shop, { ...order, fulfilment })))
      const ids = placed.map(({ body }) => String(body.orderId))
      const [alone, led] = await Promise.all(ids.map((id) => endOf(id, mails)))
      expect(led).toEqual(alone)
      expect(led?.status).toBe(status)
      const known = await eventually(sagas, (found) =>
        found.some(({ sagaId, status: is }) => sagaId === ids[1] && is !== 'running'),
      )
      expect(known.map(({ sagaId }) => sagaId)).not.toContain(ids[0])
    },
    60_000,
  )

  test('is led to its end though its leader is killed again and again, charged once, and every unit accounted for', async () => {
    const before = new Set((await chargesOf(shop)).map(({ id }) => id))
    const ids: string[] = []
    let kills = 0
    for (let round = 0; round < 4; round += 1) {
      for (let index = 0; index < 5; index += 1) {
        const paymentMethod = index === 4 ? 'card-declined' : 'card'
        const { body } = await placeOrder(shop, {
          productId: 'p-9',
          quantity: 1,
          paymentMethod,
          fulfilment: 'orchestrated',
        })
        // The last units may be sold by then, which is another way to end.
        if (body.orderId) ids.push(String(body.orderId))
      }
      await sleep(40 * round)
      kills += await killLeader()
    }
    expect(kills).toBeGreaterThanOrEqual(3)
    const ended = await eventually(
      sagas,
      (found) => ids.every((id) => found.some(({ sagaId, status }) => sagaId === id && /ed$/.test(status))),
      60_000,
    )
    const completed = ended.filter(({ sagaId, status }) => ids.includes(sagaId) && status === 'completed')
    const kept = (await chargesOf(shop)).filter(({ id, status }) => !before.has(id) && status === 'captured')
    expect(kept.map(({ id }) => id).sort()).toEqual(completed.map(({ sagaId }) => `pay-${sagaId}`).sort())
    for (const { sagaId } of completed) await orderIn(shop, sagaId, 'shipped')
    // Of ten there are as many left as were not sold.
    const left = 10 - completed.length
    expect((await placeOrder(shop, { productId: 'p-9', quantity: left + 1 })).status).toBe(409)
    if (left > 0) expect((await placeOrder(shop, { productId: 'p-9', quantity: left })).status).toBe(201)
  }, 120_000)
})

test('an operator sees how a saga went, and cannot turn back what has ended', async () => {
  const { body } = await placeOrder(shop, { fulfilment: 'orchestrated' })
  await orderIn(shop, body.orderId, 'shipped')
  const id = String(body.orderId)
  const shown = await eventually(
    () => shop.parley('saga', 'show', id),
    ({ stdout }) => stdout.includes('is completed'),
  )
  expect(shown.stdout).toMatch(
    /place +done\n +reserve +done\n +charge +done\n +confirm +done\n +ship +done\n +notify +done/,
  )
  const { traceparent } = JSON.parse((await shop.parley('saga', 'show', id, '--json')).stdout) as {
    traceparent: string
  }
  const trace = `http://${shop.layout.host}:9411/api/v2/trace/${traceparent.split('-')[1]}`
  const services = async () => {
    const spans = (await (await fetch(trace)).json()) as { localEndpoint?: { serviceName?: string } }[]
    return [...new Set(spans.map(({ localEndpoint }) => localEndpoint?.serviceName ?? ''))]
  }
  // Others may hear of it too, as analytics does.
  const everybody = ['fulfilment', 'gateway', 'inventory', 'notifications', 'orders', 'payments', 'shipping']
  await eventually(services, (found) => everybody.every((name) => found.includes(name)))
  expect(await shop.parley('saga', 'cancel', id)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('has ended'),
  })
  expect(await shop.parley('saga', 'retry', 'nobody')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no saga'),
  })
  expect((await getOrder(shop, id)).body).toMatchObject({ status: 'shipped', fulfilment: 'orchestrated' })
}, 60_000)

/** Ends the leader as a crash would, if it runs; the supervisor starts it again. */
async function killLeader(): Promise<number> {
  const { stdout } = await shop.parley('status', '--json')
  const { processes } = JSON.parse(stdout) as { processes: { name: string; pid: number | null; state: string }[] }
  const leader = processes.find(({ name }) => name === 'fulfilment')
  if (!leader?.pid) return 0
  process.kill(leader.pid, 'SIGKILL')
  return 1
}
