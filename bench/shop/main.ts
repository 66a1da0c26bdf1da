/**
 * The rows that need the whole shop, in one run of it: reads through its edges, orders and what follows from them. All durable: every
 * service's Postgres waits for its disk, Kafka for all replicas in sync (here one). The rates are far below the edges' limits.
 */
import { randomUUID } from 'node:crypto'
import { type Stack, startShop } from '#test/stack.ts'
import { openLoop } from '../load.ts'
import { edgeOf, expect, placeFive, post } from './ask.ts'
import { measureList, measureOrders, measureSharedDatabase, openOrders, shipped } from './orders.ts'
import { measureProducts, measureReads, questions, readProducts } from './reads.ts'
import { measureWebhooks, subscribe } from './webhooks.ts'

const warmUpPerSecond = 5
const warmUpSeconds = 20

const shop = await startShop(247)
try {
  await measure(shop)
} finally {
  await shop.stop()
}

async function measure(shop: Stack): Promise<void> {
  const database = await openOrders(shop)
  try {
    const { body: customer } = await post(201, `${edgeOf(shop, 'customers')}/api/v1/customers`, {
      name: 'Ann Example',
      emailAddress: `ann.${randomUUID()}@mail.example`,
    })
    const customerId = String(customer.customerId)
    const known = await warmUp(shop, customerId)
    await shipped(database, known)
    const products = await readProducts(shop)
    await measureReads(shop, known)
    await measureProducts(shop, products)
    await measureList(shop, database)
    const subscriber = await subscribe(shop)
    const orderIds = await measureOrders(shop, database, customerId)
    await measureWebhooks(shop, subscriber, orderIds)
    subscriber.close()
    await measureSharedDatabase(database, orderIds)
  } finally {
    await database.end()
  }
}

/** Just started processes run unoptimised code, and may be too slow for some. Gives the orders that were placed. */
async function warmUp(shop: Stack, customerId: string): Promise<string[]> {
  const orderIds: string[] = []
  const turn = async (index: number) => {
    orderIds.push(await placeFive(shop, customerId))
    // Read models are behind while everything is slow.
    const [earlier] = orderIds.slice(-2 * warmUpPerSecond)
    const ways = Object.values(questions(shop, () => earlier))
    const products = `${shop.url}/api/v2/products?limit=1&after=p-2.${index}`
    await Promise.all([...ways.map((ask) => ask(index)), expect(200, products)])
  }
  const { failures } = await openLoop({ perSecond: warmUpPerSecond, seconds: warmUpSeconds, call: turn })
  if (orderIds.length === 0) throw new Error('No order was accepted', { cause: failures[0] })
  return orderIds
}
