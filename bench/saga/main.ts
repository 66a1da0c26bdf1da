/**
 * What a led saga costs, from its start to its end: five commands in four stages, each with its reply, through the outboxes and
 * inboxes of seven services, RabbitMQ and Postgres. The bank's stand-in takes 10 to 50 ms, which is told apart.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { adminOf } from '#local/admin.ts'
import { placeOrder } from '#test/shop/client.ts'
import { type Stack, startShop } from '#test/stack.ts'
import { openLoop, quantile } from '../load.ts'
import { print } from '../report.ts'

const perSecond = 5
const warmUpSeconds = 20
const seconds = 20
const durability = 'batch 1; Postgres fsync, quorum queues, confirms'
const endWithinMs = 60_000

type Step = { readonly kind: string; readonly step?: string }
type Story = {
  readonly status: string
  readonly startedAt: string
  readonly endedAt: string | null
  readonly log: readonly { readonly at: string; readonly event: Step }[]
}

async function main(): Promise<void> {
  const shop = await startShop(252)
  try {
    // Just started processes run unoptimised code, and may be too slow for some.
    await openLoop({ perSecond, seconds: warmUpSeconds, call: () => placeOrder(shop, { fulfilment: 'orchestrated' }) })
    const stories = await ended(shop, await orders(shop, seconds))
    const allMs = stories.map((story) => lastedMs(story)).sort((a, b) => a - b)
    const ownMs = stories.map((story) => lastedMs(story) - chargeMs(story)).sort((a, b) => a - b)
    const title = `12 · Saga by orchestration: a led saga of five commands, open loop, ${perSecond}/s for ${seconds} s, after ${warmUpSeconds} s of the same`
    print(title, [
      { what: 'start → end, without the charge, p50', measured: quantile(ownMs, 0.5), unit: 'ms', target: 60 },
      { what: 'start → end, p50', measured: quantile(allMs, 0.5), unit: 'ms', claimed: '50 ms–5 s', note: durability },
      { what: 'start → end, p99', measured: quantile(allMs, 0.99), unit: 'ms' },
      { what: 'sagas that completed', measured: stories.length, unit: '' },
    ])
  } finally {
    await shop.stop()
  }
}

async function orders(shop: Stack, forSeconds: number): Promise<string[]> {
  const ids: string[] = []
  const { failures } = await openLoop({
    perSecond,
    seconds: forSeconds,
    call: async () => {
      const { status, body } = await placeOrder(shop, { quantity: 1, fulfilment: 'orchestrated' })
      if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`)
      ids.push(String(body.orderId))
    },
  })
  if (failures.length > 0) throw new Error(`${failures.length} orders were not accepted: ${failures[0]}`)
  return ids
}

/** All of them have to complete: a saga that does not end has no duration, but is no fast one. */
async function ended(shop: Stack, ids: readonly string[]): Promise<Story[]> {
  const ask = adminOf(shop.layout.services.fulfilment?.appAdminSocket ?? '')
  const endMs = performance.now() + endWithinMs
  for (;;) {
    const answers = await Promise.all(ids.map((id) => ask('GET', `/sagas/fulfil/${id}`)))
    const stories = answers.filter(({ status }) => status === 200).map(({ body }) => body as unknown as Story)
    const completed = stories.filter(({ status }) => status === 'completed')
    if (completed.length === ids.length) return completed
    if (performance.now() > endMs) throw new Error(`${ids.length - completed.length} sagas did not complete.`)
    await sleep(500)
  }
}

function lastedMs({ startedAt, endedAt }: Story): number {
  return Date.parse(endedAt ?? '') - Date.parse(startedAt)
}

/** From asking for the charge to hearing of it. */
function chargeMs({ log }: Story): number {
  const at = (step: string) => log.find(({ event }) => event.kind === 'done' && event.step === step)?.at ?? ''
  return Date.parse(at('charge')) - Date.parse(at('reserve'))
}

await main()
