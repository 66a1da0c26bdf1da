import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { Closable } from '../app/admin.ts'
import { testApp } from '../app/app-fixture.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { until } from '../until-fixture.ts'
import { type DelivererOptions, deliverWebhooks } from './deliverer.ts'
import { changeEndpoint, deleteEndpoint, rotateSecret, secretsOf, showEndpoint, subscribe } from './endpoints.ts'
import { failuresMax, probeBaseMs } from './health.ts'
import { listDeliveries, prune, replayDeliveries, replayDelivery, showDelivery } from './log.ts'
import { claimDue, settle } from './queue.ts'
import { seenInMemory, verifyWebhook } from './verify.ts'
import {
  hooks,
  openReceiver,
  policy,
  type Receiver,
  rules,
  subscribed,
  tell,
  teller,
  type,
} from './webhooks-fixture.ts'

jest.setTimeout(60_000)

let server: PostgresFixture
let database: Database<object>
let receiver: Receiver
let laterMs = 0
let made = 0
const deliverers: Closable[] = []
const clock = () => new Date(Date.now() + laterMs)

beforeAll(async () => {
  server = await startPostgres()
}, 60_000)

beforeEach(async () => {
  made += 1
  database = openDatabase(testApp(teller, { postgres: server.create(`teller_${made}`) }), { clock })
  await migrate(database)
  receiver = await openReceiver()
  laterMs = 0
})

afterEach(async () => {
  for (const deliverer of deliverers.splice(0)) await deliverer.close()
  await receiver.close()
  await database.close()
})

afterAll(() => server?.stop())

async function deliver(options: Partial<DelivererOptions> = {}): Promise<Closable> {
  const deliverer = await deliverWebhooks(testApp(teller), hooks, database, {
    policy,
    clock,
    pollMs: 10,
    drainMs: 100,
    random: () => 0,
    ...options,
  })
  deliverers.push(deliverer)
  return deliverer
}

/** Lets time pass from attempt to attempt, each as soon as the one before is recorded. */
async function attemptsAt(endpoint: string, number: bigint, count: number): Promise<void> {
  for (let done = 1; done <= count; done += 1) {
    const logged = async () => (await showDelivery(database, endpoint, number)).attempts.length === done
    await until(logged, `attempt ${done}`)
    const { nextAt } = (await showDelivery(database, endpoint, number)).delivery
    const { probeAt } = (await showEndpoint(database, hooks.name, endpoint)).health
    laterMs = Math.max(Number(nextAt), Number(probeAt)) + 1_000 - Date.now()
  }
}

const idOf = ({ headers }: Receiver['arrivals'][number]) => String(headers['webhook-id'])
const state = async (id: string) => (await listDeliveries(database, id, { limit: 1 }))[0]

/** An endpoint's past: so many that arrived, but for one that failed, if any, and one that waits. */
async function deliverMany(id: string, count: number, failed = 0): Promise<void> {
  await tell(database, 'e0')
  await database.query(
    statement(`
      with e as (
        insert into kit.webhook_events select webhook, 'e' || n, type, payload, correlation_id, null, created_at
        from kit.webhook_events, generate_series(1, $3::int) n returning event_id)
      insert into kit.webhook_deliveries (endpoint_id, webhook, event_id, state, next_at, created_at)
      select $1, $2, event_id, case when event_id = 'e' || $4::int then 'failed' else 'delivered' end, now(), now() from e`),
    [id, hooks.name, count, failed],
  )
}

describe('delivery', () => {
  test('arrives signed, in public words, is logged, and telling the same event again changes nothing', async () => {
    const { id, secret } = await subscribed(database, receiver)
    await deliver()
    const [number = 0n] = await tell(database, 'e1')
    expect(await tell(database, 'e1')).toEqual([])
    await until(async () => (await state(id))?.state === 'delivered', 'it is delivered')

    const [arrival] = receiver.arrivals
    if (!arrival) throw new Error('nothing arrived')
    expect(receiver.arrivals).toHaveLength(1)
    expect(JSON.parse(arrival.body)).toEqual({ type, timestamp: '2026-01-31T12:00:00.000Z', data: { orderId: 'e1' } })
    expect(await verifyWebhook({ ...arrival, secrets: [secret], seen: seenInMemory() })).toBe('e1')
    const { attempts } = await showDelivery(database, id, number)
    expect(attempts).toEqual([expect.objectContaining({ number: 1, status: 204, error: '' })])
  })

  test('is tried again under the same id with a new time and signature, and given up after the last attempt', async () => {
    receiver.answer = (response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('no\0!')
    const { id, secret } = await subscribed(database, receiver)
    const [number = 0n] = await tell(database, 'e1')
    await deliver()
    await attemptsAt(id, number, hooks.attempts)
    await until(async () => (await state(id))?.state === 'failed', 'it is given up')

    expect(new Set(receiver.arrivals.map(idOf))).toEqual(new Set(['e1']))
    expect(new Set(receiver.arrivals.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(hooks.attempts)
    for (const arrival of receiver.arrivals) {
      const now = new Date(Number(arrival.headers['webhook-timestamp']) * 1_000)
      await verifyWebhook({ ...arrival, secrets: [secret], seen: seenInMemory(), now })
    }
    const log = (await showDelivery(database, id, number)).attempts
    expect(log).toHaveLength(hooks.attempts)
    expect(log[0]).toMatchObject({ status: 500, error: 'answered', excerpt: 'no !' })
  })

  test('asks nobody before the time that a receiver names', async () => {
    receiver.answer = (response) => response.writeHead(503, { 'retry-after': '3600' }).end()
    const { id } = await subscribed(database, receiver)
    await tell(database, 'e1')
    await deliver()
    await until(async () => (await state(id))?.status === 503, 'it failed')
    const { nextAt } = (await state(id)) ?? {}
    expect(Number(nextAt) - clock().getTime()).toBeGreaterThan(3_590_000)
  })

  test('follows no redirect', async () => {
    const inside = await openReceiver()
    receiver.answer = (response) => response.writeHead(307, { location: inside.url }).end()
    const { id } = await subscribed(database, receiver)
    await tell(database, 'e1')
    await deliver()
    await until(async () => (await state(id))?.error === 'redirected', 'it is refused')
    expect(inside.arrivals).toHaveLength(0)
    await inside.close()
  })

  test('is made again when the process dies between the attempt and its record, and whoever comes too late records nothing', async () => {
    const { id } = await subscribed(database, receiver)
    await tell(database, 'e1')
    const [lost] = await claimDue(database, hooks.name, { free: 1, perEndpointMax: 2, leaseMs: 30_000 })
    if (!lost) throw new Error('there is something to claim')
    await deliver()
    // Under lease nobody else takes it.
    await tell(database, 'e2')
    await until(() => receiver.arrivals.length === 1, 'the other arrives')
    laterMs += 31_000
    await until(() => receiver.arrivals.length === 2, 'it arrives')
    expect(receiver.arrivals.map(idOf)).toEqual(['e2', 'e1'])
    await until(
      async () => (await listDeliveries(database, id, { limit: 9, state: 'delivered' })).length === 2,
      'both are done',
    )
    const failed = {
      at: clock(),
      durationMs: 1,
      status: 500,
      error: 'answered',
      reason: '',
      excerpt: '',
      retryAfterMs: 0,
    } as const
    expect(await settle(database, lost, failed, 1)).toEqual({ settled: 'fenced', health: null })
    expect((await showEndpoint(database, hooks.name, id)).health.failures).toBe(0)
  })

  test('interrupted by the end of the process it is begun anew at once', async () => {
    receiver.answer = () => undefined
    const { id } = await subscribed(database, receiver)
    await tell(database, 'e1')
    const first = await deliver()
    await until(() => receiver.arrivals.length === 1, 'it is under way')
    await first.close()
    expect(await state(id)).toMatchObject({ state: 'waiting', attempts: 0 })
    receiver.answer = (response) => response.writeHead(200).end()
    await deliver()
    await until(async () => (await state(id))?.state === 'delivered', 'it is delivered')
  })
})

describe('many endpoints', () => {
  test('one that hangs has two attempts under way, holds nobody, and two processes do not double it', async () => {
    const hanging = await openReceiver()
    hanging.answer = () => undefined
    await subscribed(database, hanging)
    await subscribed(database, receiver)
    await Promise.all(Array.from({ length: 30 }, (_, index) => tell(database, `e${index}`)))
    await deliver({ inFlightMax: 4 })
    await deliver({ inFlightMax: 4 })
    await until(() => receiver.arrivals.length === 30, 'the other has all')
    expect(hanging.arrivals.length).toBeGreaterThan(0)
    expect(hanging.atOnceMax()).toBe(2)
    expect(receiver.atOnceMax()).toBeLessThanOrEqual(2)
    await hanging.close()
  })
})

describe('an endpoint that fails', () => {
  test('is paused, looked at with one delivery after a while, and open again when that arrives', async () => {
    receiver.answer = (response) => response.writeHead(500).end()
    const { id } = await subscribed(database, receiver)
    for (let index = 0; index < failuresMax + 5; index += 1) await tell(database, `e${index}`)
    await deliver()
    const health = async () => (await showEndpoint(database, hooks.name, id)).health
    await until(async () => (await health()).state === 'paused', 'it is paused')
    await until(
      async () => (await state(id)) !== undefined && receiver.arrivals.length >= failuresMax,
      'nothing is under way',
    )
    const { probeAt } = await health()
    expect(Number(probeAt) - clock().getTime()).toBeGreaterThan(probeBaseMs - 5_000)

    const before = receiver.arrivals.length
    laterMs += probeBaseMs + 1_000
    await until(async () => (await health()).probes === 2, 'it was looked at in vain')
    expect(receiver.arrivals).toHaveLength(before + 1)

    receiver.answer = (response) => response.writeHead(200).end()
    laterMs += 2 * probeBaseMs + 1_000
    await until(async () => (await showEndpoint(database, hooks.name, id)).waiting === 0, 'all that waited arrived')
    expect(await health()).toMatchObject({ state: 'active', reason: '', failures: 0 })
  })

  test('says that it is gone, and is told nothing more until its owner resumes it', async () => {
    receiver.answer = (response) => response.writeHead(410).end()
    const { id } = await subscribed(database, receiver)
    await tell(database, 'e1')
    await deliver()
    await until(async () => (await state(id))?.error === 'gone', 'it is gone')
    expect(await tell(database, 'e2')).toEqual([])
    const [gone] = await listDeliveries(database, id, { limit: 1 })
    await expect(replayDelivery(database, hooks.name, id, gone?.number ?? 0n)).rejects.toMatchObject({
      code: 'failed-precondition',
    })

    receiver.answer = (response) => response.writeHead(200).end()
    await changeEndpoint(database, rules, id, { paused: false })
    await replayDelivery(database, hooks.name, id, gone?.number ?? 0n)
    await until(async () => (await state(id))?.state === 'delivered', 'it arrives')
    expect(receiver.arrivals.map(idOf)).toEqual(['e1', 'e1'])
  })
})

describe('its owner', () => {
  test('pauses it and resumes it, and nothing is lost', async () => {
    const { id } = await subscribed(database, receiver)
    await changeEndpoint(database, rules, id, { paused: true })
    await tell(database, 'e1')
    await deliver()
    const other = await openReceiver()
    await subscribed(database, other)
    await tell(database, 'e2')
    await until(() => other.arrivals.length === 1, 'others are told')
    expect(receiver.arrivals).toHaveLength(0)
    await changeEndpoint(database, rules, id, { paused: false })
    await until(() => receiver.arrivals.length === 2, 'what waited arrives')
    await other.close()
  })

  test('changes the secret while both sign, and each alone is enough', async () => {
    const { id, secret } = await subscribed(database, receiver)
    const { secret: next } = await rotateSecret(database, hooks.name, id, 3_600_000)
    await deliver()
    await tell(database, 'e1')
    await until(() => receiver.arrivals.length === 1, 'it arrives')
    laterMs += 3_601_000
    await tell(database, 'e2')
    await until(() => receiver.arrivals.length === 2, 'the next arrives')

    const verify = (index: number, ...secrets: string[]) => {
      const arrival = receiver.arrivals[index]
      if (!arrival) throw new Error('it has arrived')
      const now = new Date(Number(arrival.headers['webhook-timestamp']) * 1_000)
      return verifyWebhook({ ...arrival, secrets, seen: seenInMemory(), now })
    }
    expect(await verify(0, secret)).toBe('e1')
    expect(await verify(0, next)).toBe('e1')
    expect(await verify(1, next)).toBe('e2')
    await expect(verify(1, secret)).rejects.toMatchObject({ code: 'webhook-forged' })
    expect(await secretsOf(database, id, clock())).toHaveLength(1)
  })

  test('has a span of time delivered once more, and reads the log until it is forgotten', async () => {
    const { id } = await subscribed(database, receiver)
    await deliver()
    for (const event of ['e1', 'e2']) await tell(database, event)
    await until(
      async () => (await listDeliveries(database, id, { limit: 9, state: 'delivered' })).length === 2,
      'both arrive',
    )
    const since = new Date(Date.now() - 60_000)
    const span = { from: since, to: new Date(Date.now() + 60_000) }
    expect(await replayDeliveries(database, hooks.name, id, span)).toEqual({ replayed: 0 })
    const both = { ...span, delivered: true }
    const first = await replayDeliveries(database, hooks.name, id, both, 1)
    expect(first.replayed).toBe(1)
    await until(() => receiver.arrivals.length === 3, 'the first arrives again')
    await until(
      async () => (await listDeliveries(database, id, { limit: 9, state: 'delivered' })).length === 2,
      'it fits the span again',
    )
    const second = await replayDeliveries(database, hooks.name, id, { ...both, after: first.next }, 1)
    expect(second.replayed).toBe(1)
    await until(() => receiver.arrivals.length === 4, 'both arrive again')
    const end = await replayDeliveries(database, hooks.name, id, { ...both, after: second.next }, 1)
    expect(end).toEqual({ replayed: 0 })
    expect(receiver.arrivals.map(idOf).sort()).toEqual(['e1', 'e1', 'e2', 'e2'])

    await until(
      async () => (await listDeliveries(database, id, { limit: 9, state: 'waiting' })).length === 0,
      'all is settled',
    )
    const [newest, oldest] = await listDeliveries(database, id, { limit: 9 })
    expect(await listDeliveries(database, id, { limit: 9, before: newest?.number })).toEqual([oldest])
    await prune(database, hooks.name, new Date(Date.now() + 60_000), clock())
    expect(await listDeliveries(database, id, { limit: 9 })).toEqual([])
  })

  test('finds what failed without reading what arrived', async () => {
    const { id } = await subscribed(database, receiver)
    await deliverMany(id, 5_000, 9)
    const session = await database.session()
    await session.query({ text: 'analyze' })
    session.release()
    const read = async () => {
      // What this connection has counted is shown to others with a delay, unless it is asked for.
      await database.query(statement('select pg_stat_force_next_flush()'))
      const [row] = await database.query<{ rows: number }>(
        statement(`select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows
          from pg_stat_user_tables where relname = 'webhook_deliveries'`),
      )
      return row?.rows ?? 0
    }
    const before = await read()
    const span = { from: new Date(0), to: new Date(Date.now() + 60_000) }
    // Often enough for a plan that holds for all values.
    for (let index = 0; index < 10; index += 1) {
      expect(await listDeliveries(database, id, { limit: 20, state: 'failed' })).toHaveLength(index < 5 ? 1 : 0)
      if (index >= 4) await replayDeliveries(database, hooks.name, id, span)
    }
    expect((await read()) - before).toBeLessThan(100)
  })

  test('ends it while a delivery is under way, and nothing of it stays', async () => {
    let finish = () => {}
    receiver.answer = (response) => {
      finish = () => response.writeHead(200).end()
    }
    const { id } = await subscribed(database, receiver)
    await tell(database, 'e1')
    const deliverer = await deliver({ drainMs: 5_000 })
    await until(() => receiver.arrivals.length === 1, 'it is under way')
    await deleteEndpoint(database, hooks.name, id)
    finish()
    await deliverer.close()
    await expect(showEndpoint(database, hooks.name, id)).rejects.toMatchObject({ code: 'not-found' })
    expect(await listDeliveries(database, id, { limit: 9 })).toEqual([])
  })

  test('ends it however much was delivered to it, and no statement has more to forget than its time allows', async () => {
    const { id } = await subscribed(database, receiver)
    await deliverMany(id, 12_000)
    const session = await database.session()
    await session.query({
      text: `create table forgotten (deliveries integer);
        create function note() returns trigger language plpgsql as $$
          begin insert into forgotten select count(*) from gone; return null; end $$;
        create trigger noted after delete on kit.webhook_deliveries referencing old table as gone
          for each statement execute function note()`,
    })
    await deleteEndpoint(database, hooks.name, id)
    await expect(showEndpoint(database, hooks.name, id)).rejects.toMatchObject({ code: 'not-found' })
    const { rows } = await session.query({ text: 'select sum(deliveries)::int, max(deliveries) from forgotten' })
    session.release()
    expect(rows).toEqual([{ sum: 12_001, max: 5_000 }])
  })

  test('has at most 10,000 deliveries waiting; what comes beyond is in the log and can be replayed', async () => {
    const { id } = await subscribed(database, receiver)
    await changeEndpoint(database, rules, id, { paused: true })
    await tell(database, 'e1')
    const session = await database.session()
    await session.query({
      text: `with e as (
          insert into kit.webhook_events select webhook, 'e1-' || n, type, payload, correlation_id, null, created_at
          from kit.webhook_events, generate_series(2, 10000) n returning event_id)
        insert into kit.webhook_deliveries (endpoint_id, webhook, event_id, state, next_at, created_at)
        select $1, $2, event_id, 'waiting', now(), now() from e`,
      values: [id, hooks.name],
    })
    session.release()
    await tell(database, 'e2')
    expect(await state(id)).toMatchObject({ eventId: 'e2', state: 'failed', error: 'queue-full' })
    expect((await showEndpoint(database, hooks.name, id)).waiting).toBe(10_000)
    expect(
      await replayDeliveries(database, hooks.name, id, {
        from: new Date(0),
        to: new Date(Date.now() + 60_000),
      }),
    ).toEqual({ replayed: 1 })
  })

  test('is refused what leads inside, what there is not, and a URL twice', async () => {
    const wrong = { url: 'https://10.0.0.1/', types: [type] }
    await expect(subscribe(database, rules, wrong)).rejects.toMatchObject({
      violations: [{ field: 'url', code: 'inside' }],
    })
    await expect(subscribe(database, rules, { ...receiver, types: ['order.eaten'] })).rejects.toMatchObject({
      violations: [{ field: 'types', code: 'unknown' }],
    })
    const { id } = await subscribed(database, receiver)
    await expect(subscribed(database, receiver)).rejects.toMatchObject({ code: 'conflict' })
    await expect(changeEndpoint(database, rules, id, { url: 'http://127.0.0.2/' })).rejects.toMatchObject({
      violations: [{ field: 'url', code: 'scheme' }],
    })
  })
})
