import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { topic } from '#graph/topic.ts'
import { OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type Database, statement } from '../store/database.ts'
import { freshDatabases } from '../store/database-fixture.ts'
import { StoreUnavailable } from '../store/errors.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { until } from '../until-fixture.ts'
import { publisher } from './publisher.ts'
import { type Destination, type Relay, startRelay as relayOf, type Sent, type WaitingRow } from './relay.ts'

const orderEvents = topic('orders', { carries: [OrderPlacedSchema, OrderConfirmedSchema], key: 'orderId' })
const orders = service('orders', { owns: [postgres({ connectionsMax: 30 })], publishes: [orderEvents] })
const publish = publisher(orders, orderEvents)
type Tables = { counter: { id: string; value: number } }

let server: PostgresFixture
let folder: string
const databases = freshDatabases<Tables>(orders)
const relays: Relay[] = []

const startRelay: typeof relayOf = (...given) => {
  const relay = relayOf(...given)
  relays.push(relay)
  return relay
}

const freshDatabase = () => databases.create(server)

beforeAll(async () => {
  server = await startPostgres()
  folder = mkdtempSync(join(tmpdir(), 'parley-store-'))
}, 60_000)

afterEach(async () => {
  for (const relay of relays.splice(0)) await relay.close()
  await databases.close()
})

afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A destination that keeps what it is sent. */
function recorder(name: string, send: (rows: readonly WaitingRow[]) => Promise<Sent> | Sent = all) {
  const sent: WaitingRow[] = []
  const destination: Destination = {
    kind: 'topic',
    destination: name,
    async send(rows) {
      const outcome = await send(rows)
      sent.push(...rows.filter(({ rowId }) => outcome.acknowledged.includes(rowId)))
      return outcome
    },
  }
  return { sent, destination, ids: () => sent.map(({ id }) => id) }
}

function all(rows: readonly WaitingRow[]): Sent {
  return { acknowledged: rows.map(({ rowId }) => rowId), refused: [] }
}

function refusal({ rowId }: WaitingRow) {
  return { rowId, reason: 'too large' }
}

const count = statement('select count(*) as left from kit.outbox where refused is null')
const left = async (database: Database<Tables>) => (await database.query<{ left: bigint }>(count))[0]?.left

function put(database: Database<Tables>, id: string, orderId = 'o-1', wait?: Promise<void>): Promise<void> {
  return database.transaction(async (tx) => {
    publish(tx, OrderPlacedSchema, { orderId }, { id })
    await wait
  })
}

describe('the outbox', () => {
  test('sends at once, in order, and is empty afterwards; a rolled back row never leaves', async () => {
    const { database } = await freshDatabase()
    const { destination, ids } = recorder('orders')
    const relay = startRelay(database, [destination], silentLog, { pollMs: 60_000 })
    await until(relay.active, 'active')
    const undone = database.transaction(async (tx) => {
      publish(tx, OrderPlacedSchema, { orderId: 'o' }, { id: 'undone' })
      throw new Error('no')
    })
    await expect(undone).rejects.toThrow('no')
    for (const id of ['1', '2', '3']) await put(database, id)
    await until(() => ids().length === 3, 'sent')
    await until(async () => (await left(database)) === 0n, 'deleted')
    await relay.close()
    expect(ids()).toEqual(['1', '2', '3'])
  })

  test('a row with a lower number that is committed later is not skipped', async () => {
    const { database } = await freshDatabase()
    const { destination, ids, sent } = recorder('orders')
    startRelay(database, [destination], silentLog, { pollMs: 20 })
    const release = Promise.withResolvers<void>()
    const insert = `insert into kit.outbox (kind, destination, event_id, key, headers, payload)
      values ('topic', 'orders', 'late', 'o-1', '{}', '') returning id`
    const late = database.transaction(async (tx) => {
      const rows = await tx.query<{ id: bigint }>(statement(insert))
      await release.promise
      return rows[0]?.id ?? 0n
    })
    await sleep(20)
    await put(database, 'early')
    await until(() => ids().length === 1, 'the early one sent')
    release.resolve()
    expect(await late).toBeLessThan(sent[0]?.rowId ?? 0n)
    await until(() => ids().length === 2, 'the late one sent')
    expect(ids()).toEqual(['early', 'late'])
  })

  test('transactions that a lock orders leave in that order, however early they published', async () => {
    const { database } = await freshDatabase()
    await database.query(statement('create table counter (id text primary key, value integer not null)'))
    await database.db.insertInto('counter').values({ id: 'o-1', value: 0 }).execute()
    const change = () =>
      database.transaction(async (tx) => {
        // Published before the lock is had, which a number drawn at once would get wrong.
        const id = publish(tx, OrderPlacedSchema, { orderId: 'o-1' })
        const rows = await tx.db
          .updateTable('counter')
          .set((eb) => ({ value: eb('value', '+', 1) }))
          .returning('value')
          .execute()
        await sleep(Math.random() * 3)
        return { id, value: rows[0]?.value ?? 0 }
      })
    const { destination, ids } = recorder('orders')
    const relay = startRelay(database, [destination], silentLog)
    const changes = await Promise.all(Array.from({ length: 60 }, change))
    await until(() => ids().length === 60, 'all sent')
    await relay.close()
    expect(ids()).toEqual(changes.sort((a, b) => a.value - b.value).map(({ id }) => id))
  })

  test('a destination that is down holds up only its own, and what it will never take is set aside', async () => {
    const { database } = await freshDatabase()
    let down = true
    const broken = recorder('orders', (rows) => {
      if (down) throw new Error('down')
      const refused = rows.filter(({ id }) => id === 'huge').map(({ rowId }) => ({ rowId, reason: 'too large' }))
      return { acknowledged: rows.filter(({ id }) => id !== 'huge').map(({ rowId }) => rowId), refused }
    })
    const fine = recorder('other')
    const others = topic('other', { carries: [OrderPlacedSchema], key: 'orderId' })
    const node = service('orders', { publishes: [others] })
    const errors: unknown[] = []
    const log = { ...silentLog, error: (_message: string, fields?: object) => void errors.push(fields) }
    const relay = startRelay(database, [broken.destination, fine.destination], log)
    for (const id of ['1', 'huge', '2']) await put(database, id)
    await database.transaction(async (tx) => {
      publisher(node, others)(tx, OrderPlacedSchema, { orderId: 'o' }, { id: 'fine' })
    })
    await until(() => fine.ids().length === 1, 'the other sent')
    expect(broken.ids()).toEqual([])
    down = false
    await until(async () => (await left(database)) === 0n, 'sent in the end')
    await relay.close()
    expect(broken.ids()).toEqual(['1', '2'])
    expect(await database.query(statement('select event_id, refused from kit.outbox'))).toEqual([
      { event_id: 'huge', refused: 'too large' },
    ])
    expect(errors).toEqual([expect.objectContaining({ id: 'huge', key: 'o-1', reason: 'too large' })])
  })

  test.each([
    ['delete', all],
    ['set aside', (rows: readonly WaitingRow[]): Sent => ({ acknowledged: [], refused: rows.map(refusal) })],
  ])(
    'of two relays one sends; when it sleeps the other takes over, and the sleeper can %s nothing',
    async (_what, outcome) => {
      const { database, again } = await freshDatabase()
      const asleep = Promise.withResolvers<void>()
      let woke = false
      const sleeper = recorder('orders', async (rows) => {
        await asleep.promise
        woke = true
        return outcome(rows)
      })
      const first = startRelay(database, [sleeper.destination], silentLog, { leaseMs: 60_000 })
      await until(first.active, 'the first has the lease')
      let down = true
      const heir = recorder('orders', (rows) => {
        if (down) throw new Error('down')
        return all(rows)
      })
      const second = startRelay(again(), [heir.destination], silentLog, { askEveryMs: 20, pollMs: 50 })
      await put(database, '1')
      await put(database, '2')
      await sleep(150)
      expect(second.active()).toBe(false)
      // What a process that was stopped for too long looks like from outside.
      await database.query(statement(`update kit.relay set expires_at = '-infinity'`))
      await until(second.active, 'the second has the lease')
      asleep.resolve()
      await until(() => woke, 'the sleeper wakes and sends')
      await sleep(100)
      expect(await left(database)).toBe(2n)
      down = false
      await until(async () => (await left(database)) === 0n, 'the second sends')
      expect(heir.ids()).toEqual(['1', '2'])
      expect(second.active()).toBe(true)
    },
  )

  test('a relay that is killed in the middle of a round loses nothing and keeps the order of every key', async () => {
    const { database, at } = await freshDatabase()
    const file = join(folder, 'sent')
    writeFileSync(file, '')
    const keys = ['a', 'b', 'c']
    for (let index = 0; index < 300; index += 1) await put(database, String(index), keys[index % 3])
    const script = join(import.meta.dirname, 'relay-crash-fixture.ts')
    for (const dieAfter of [70, 1, 120]) {
      const argument = JSON.stringify({ postgres: at, file, dieAfter })
      const child = spawn(process.execPath, [script, argument], { stdio: 'ignore', env: {} })
      const signal = await new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)))
      expect(signal).toBe('SIGKILL')
    }
    const { destination, sent } = recorder('orders')
    const began = Date.now()
    const relay = startRelay(database, [destination], silentLog)
    await until(async () => (await left(database)) === 0n, 'the rest sent')
    // The lease of the killed one had seconds to go, but its connection is gone.
    expect(Date.now() - began).toBeLessThan(4_000)
    await relay.close()
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const everything = [...lines.map((line) => line.split(' ')), ...sent.map(({ key, id }) => [key, id])]
    for (const [offset, key] of keys.entries()) {
      const firstSights = [...new Set(everything.filter(([its]) => its === key).map(([, id]) => Number(id)))]
      expect(firstSights).toEqual(Array.from({ length: 100 }, (_, index) => index * 3 + offset))
    }
  }, 30_000)

  test('survives the loss of the database', async () => {
    const { database } = await freshDatabase()
    const { destination, ids } = recorder('orders')
    const relay = startRelay(database, [destination], silentLog)
    await put(database, '1')
    await server.crash()
    await expect(put(database, 'lost')).rejects.toThrow(StoreUnavailable)
    await server.start()
    await put(database, '2')
    await until(() => ids().includes('2'), 'sent after the loss')
    await relay.close()
    expect(new Set(ids())).toEqual(new Set(['1', '2']))
  }, 30_000)
})
