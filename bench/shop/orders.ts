/** What orders come to: placed, read, in the list, confirmed by the others. Times of events are those that orders recorded. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { password } from '#local/secrets.ts'
import type { Stack } from '#test/stack.ts'
import { besideEachOther } from '../load.ts'
import { latencyLines, print } from '../report.ts'
import { expect, placeFive } from './ask.ts'

const perSecond = 5
const seconds = 20
const listSeconds = 10
const reads = 500
const endWithinMs = 60_000
const listedWithinMs = 5_000
const durability = 'batch 1; Postgres fsync'

/** The database of orders, as its own role. */
export type OrdersDatabase = pg.Pool

/** Connects to it. */
export async function openOrders({ layout }: Stack): Promise<OrdersDatabase> {
  const { socketDir, port } = layout.postgres
  const secret = await password(layout, 'postgres', 'orders')
  return new pg.Pool({ host: socketDir, port, user: 'orders', database: 'orders', password: secret, max: 4 })
}

/** Waits until these orders are shipped. Throws where one is not, after a minute. */
export async function shipped(database: OrdersDatabase, orderIds: readonly string[]): Promise<void> {
  const text = `select from kit.events where stream_id = any($1) and type like '%OrderShipped'`
  const endMs = performance.now() + endWithinMs
  for (;;) {
    const { rowCount } = await database.query(text, [orderIds])
    if (rowCount === orderIds.length) return
    if (performance.now() > endMs) throw new Error(`${orderIds.length - (rowCount ?? 0)} orders were not shipped.`)
    await sleep(250)
  }
}

/** Row 10: from the commit of an order to the list that has it, as another connection sees both. */
export async function measureList(shop: Stack, database: OrdersDatabase): Promise<void> {
  const delaysMs: number[] = []
  const place = async (index: number) => {
    const customerId = `c-list-${index}`
    const [delayMs] = await Promise.all([visible(database, customerId), placeFive(shop, customerId)])
    delaysMs.push(delayMs)
  }
  const { place: placedMs } = await besideEachOther({ place }, { perSecond, seconds: listSeconds })
  delaysMs.push(...placedMs.filter((ms) => ms === Number.POSITIVE_INFINITY))
  print(`10 · CQRS: the list of orders, open loop, ${perSecond} orders/s for ${listSeconds} s`, [
    ...latencyLines('commit → visible in the list', delaysMs, {
      claimed: '–',
      note: 'what comes within 100 ms is one batch; not waited for on disk: it follows from the events',
    }),
  ])
}

/** What a customer's first order commits with, and what follows from it, in the moments after one another. */
const look = {
  name: 'look',
  text: `
    select exists (select from idempotency where customer_id = $1) as committed,
      exists (select from order_list where customer_id = $1) as listed`,
}

async function visible(database: OrdersDatabase, customerId: string): Promise<number> {
  let committedMs: number | undefined
  const endMs = performance.now() + listedWithinMs
  while (performance.now() < endMs) {
    const { rows } = await database.query<{ committed: boolean; listed: boolean }>(look, [customerId])
    const [seen] = rows
    if (seen?.committed) committedMs ??= performance.now()
    if (seen?.listed && committedMs !== undefined) return performance.now() - committedMs
  }
  throw new Error(`The order of ${customerId} did not come into the list.`)
}

/** Rows 9 and 11: orders are placed and, once they have ended, read from their events. Gives their ids. */
export async function measureOrders(shop: Stack, database: OrdersDatabase, customerId: string): Promise<string[]> {
  const orderIds: string[] = []
  const place = async () => orderIds.push(await placeFive(shop, customerId))
  const { place: placedMs } = await besideEachOther({ place }, { perSecond, seconds })
  await shipped(database, orderIds)
  const read = (index: number) => expect(200, `${shop.url}/api/v2/orders/${orderIds[index % orderIds.length]}`)
  const { read: readMs } = await besideEachOther({ read }, { perSecond: 4 * perSecond, seconds: 5 })
  const claimed = '10–100 ms'
  print(`9 · Event sourcing: orders of five products through the gateway, open loop, ${perSecond}/s for ${seconds} s`, [
    ...latencyLines('placed: decided, appended, published, 201', placedMs, { claimed, note: durability }),
    ...latencyLines(`read, ${4 * perSecond}/s: its three events folded`, readMs, { claimed }),
  ])
  const lasted = await lastedMs(database, orderIds)
  const note = 'the bank takes 10–50 ms of it'
  print(`11 · Saga by choreography: the checkouts of these orders, ${perSecond}/s for ${seconds} s`, [
    ...latencyLines('placed → confirmed', lasted.confirmed, { claimed: '100 ms–10 s', note: `${durability}; ${note}` }),
    ...latencyLines('placed → shipped', lasted.shipped),
    { what: 'checkouts that ended', measured: lasted.shipped.length, unit: '' },
  ])
  return orderIds
}

async function lastedMs(database: OrdersDatabase, orderIds: readonly string[]) {
  const text = `
    select extract(epoch from later.recorded_at - placed.recorded_at)::float * 1000 as ms, later.version
    from kit.events as placed join kit.events as later using (stream_id)
    where placed.version = 1 and later.version > 1 and stream_id = any($1)`
  const { rows } = await database.query<{ ms: number; version: number }>(text, [orderIds])
  const of = (wanted: number) => rows.filter(({ version }) => version === wanted).map(({ ms }) => ms)
  return { confirmed: of(2), shipped: of(3) }
}

/** Row 18: what tempts others to read these tables; nobody but orders may. */
export async function measureSharedDatabase(database: OrdersDatabase, orderIds: readonly string[]): Promise<void> {
  const readsMs: number[] = []
  const select = { name: 'order', text: 'select * from order_list where order_id = $1' }
  for (let index = 0; index < reads; index += 1) {
    const beganMs = performance.now()
    await database.query(select, [orderIds[index % orderIds.length]])
    readsMs.push(performance.now() - beganMs)
  }
  const note = 'as orders itself; to others the check refuses it (PLY501), and Postgres does'
  print('18 · Shared database, the anti-pattern: one row of a service’s own table by SQL, one at a time', [
    ...latencyLines('read', readsMs, { claimed: '1–10 ms', note }),
  ])
}
