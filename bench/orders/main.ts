/**
 * What an order costs: the start of the whole stack, its memory, the answer to a customer, the way of an event, and how many
 * orders a second end well. The stack is a run of its own beside anybody else's.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { chargesOf, getOrder, placeOrder } from '#test/shop/client.ts'
import { type Stack, startShop } from '#test/stack.ts'
import { openLoop, quantile } from '../load.ts'
import { type Line, print } from '../report.ts'
import { histogramQuantile, readHistogram } from './prometheus.ts'

const mebibyte = 1024 * 1024
const durability = 'Postgres fsync, Kafka acks=all of one replica'
const orderRate = 20
const orderSeconds = 30
const warmUpSeconds = 20
const rates = [40, 60, 80, 100, 125, 150, 175] as const
const rateSeconds = 10
const terminalWithinMs = 60_000

async function main(): Promise<void> {
  const shop = await startShop(251)
  try {
    print('The whole stack', await startLines(shop))
    // Just started processes run unoptimised code; what a customer waits for on any later day is measured after this.
    await openLoop({ perSecond: orderRate, seconds: warmUpSeconds, call: () => placeOrder(shop) })
    const title = `An order, open loop, ${orderRate}/s for ${orderSeconds} s, after ${warmUpSeconds} s of the same`
    print(title, await orderLines(shop))
    print(`Orders a second, open loop, ${rateSeconds} s each: how many end well`, await rateLines(shop))
  } finally {
    await shop.stop()
  }
}

async function startLines(shop: Stack): Promise<Line[]> {
  await expectFine(shop, 'down')
  const beganMs = performance.now()
  await expectFine(shop, 'up')
  const warmS = (performance.now() - beganMs) / 1_000
  const { stdout } = await shop.parley('status', '--json')
  const { memoryBytes } = JSON.parse(stdout) as { memoryBytes: number }
  return [
    { what: 'warm start, from the command to "ready"', measured: warmS, unit: 's', target: 20 },
    {
      what: 'memory of all processes, shared pages counted once',
      measured: memoryBytes / mebibyte,
      unit: 'MiB',
      target: 3_072,
    },
  ]
}

async function orderLines(shop: Stack): Promise<Line[]> {
  const delayBefore = await readHistogram(shop, 'inventory', 'parley_messaging_delay_seconds')
  const { latenciesMs, failures } = await openLoop({
    perSecond: orderRate,
    seconds: orderSeconds,
    call: () => accepted(shop),
  })
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${orderRate * orderSeconds} orders were not accepted: ${failures[0]}`)
  const delay = histogramQuantile(await readHistogram(shop, 'inventory', 'parley_messaging_delay_seconds'), delayBefore)
  return [
    { what: 'accepted (201), p50', measured: quantile(latenciesMs, 0.5), unit: 'ms', target: 15 },
    { what: 'accepted (201), p99', measured: quantile(latenciesMs, 0.99), unit: 'ms', target: 60 },
    { what: 'commit → consumer, p50', measured: delay(0.5) * 1_000, unit: 'ms', claimed: '2–20 ms', note: durability },
    { what: 'commit → consumer, p99', measured: delay(0.99) * 1_000, unit: 'ms' },
  ]
}

/** Raises the rate until orders are refused, lost, or do not end. The last rate at which all ended well is the answer. */
async function rateLines(shop: Stack): Promise<Line[]> {
  const lines: Line[] = []
  let best = 0
  for (const perSecond of rates) {
    const { line, fine } = await oneRate(shop, perSecond)
    lines.push(line)
    if (!fine) break
    best = perSecond
  }
  return [
    ...lines,
    { what: 'the highest rate at which every order ended and nothing was lost', measured: best, unit: 'orders/s' },
  ]
}

async function oneRate(shop: Stack, perSecond: number): Promise<{ line: Line; fine: boolean }> {
  const orderIds: string[] = []
  const { latenciesMs, failures } = await openLoop({
    perSecond,
    seconds: rateSeconds,
    call: async () => orderIds.push(await accepted(shop)),
  })
  const beganMs = performance.now()
  const open = await openAfter(shop, orderIds)
  const drainedS = (performance.now() - beganMs) / 1_000
  const charged = new Set((await chargesOf(shop)).filter(({ status }) => status === 'captured').map(({ id }) => id))
  const uncharged = orderIds.filter((id) => !charged.has(`pay-${id}`))
  const fine = failures.length === 0 && open.length === 0 && uncharged.length === 0
  const note = `${failures.length} refused, ${open.length} still open, ${uncharged.length} not charged; all ended ${drainedS.toFixed(1)} s after the last`
  return {
    fine,
    line: { what: `${perSecond} orders/s, accepted p99`, measured: quantile(latenciesMs, 0.99), unit: 'ms', note },
  }
}

async function accepted(shop: Stack): Promise<string> {
  const { status, body } = await placeOrder(shop, { productId: `p-${1 + Math.floor(Math.random() * 8)}` })
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`)
  return String(body.orderId)
}

/** The orders that are not shipped within the time that a saga may take. */
async function openAfter(shop: Stack, orderIds: readonly string[]): Promise<string[]> {
  const endMs = performance.now() + terminalWithinMs
  let open = [...orderIds]
  while (open.length > 0 && performance.now() < endMs) {
    await sleep(250)
    // The last placed end last: while they are open, the others need not be asked for.
    const last = open.at(-1) ?? ''
    if (!(await isShipped(shop, last))) continue
    open = await stillOpen(shop, open)
  }
  return open
}

async function stillOpen(shop: Stack, orderIds: readonly string[]): Promise<string[]> {
  const open: string[] = []
  for (let from = 0; from < orderIds.length; from += 20) {
    const some = orderIds.slice(from, from + 20)
    const shipped = await Promise.all(some.map((id) => isShipped(shop, id)))
    open.push(...some.filter((_id, index) => !shipped[index]))
    await sleep(110)
  }
  return open
}

async function isShipped(shop: Stack, orderId: string): Promise<boolean> {
  const { status, body } = await getOrder(shop, orderId)
  return status === 200 && body.status === 'shipped'
}

async function expectFine(shop: Stack, command: string): Promise<void> {
  const { code, stderr } = await shop.parley(command)
  if (code !== 0) throw new Error(`parley ${command} exited with ${code}: ${stderr}`)
}

await main()
