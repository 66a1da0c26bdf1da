import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { OrderCancelledSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import { until } from '../until-fixture.ts'
import { type Database, statement } from './database.ts'
import { freshDatabases } from './database-fixture.ts'
import { eventStore } from './event-store.ts'
import { type PostgresFixture, startPostgres } from './postgres-fixture.ts'
import { type Projections, startProjections } from './projection.ts'
import { type Event, orders, seen, store, type Tables } from './projection-fixture.ts'

const app = testApp(orders)
let server: PostgresFixture
const databases = freshDatabases<Tables>(orders)
const running: Projections[] = []

beforeAll(async () => {
  server = await startPostgres()
}, 60_000)
afterEach(async () => {
  for (const projections of running.splice(0)) await projections.close()
  await databases.close()
})
afterAll(() => server?.stop())

async function start(database: Database<Tables>, projection = seen, batchMax = 50): Promise<Projections> {
  const projections = await startProjections(app, database, store, [projection], { batchMax })
  running.push(projections)
  return projections
}

const placed = (orderId: string) => create(OrderPlacedSchema, { orderId })
const confirmed = (orderId: string) => create(OrderConfirmedSchema, { orderId })
const append = (database: Database<Tables>, id: string, at: number, ...events: Event[]) =>
  database.transaction((tx) => store.append(tx, id, at, events))
const rows = (database: Database<Tables>) => database.db.selectFrom('seen').selectAll().orderBy('id').execute()
const state = statement('select generation, version, state from kit.projections order by generation')
const parked = statement('select stream_id, version, reason from kit.parked_events order by stream_id, version')

describe('a read model', () => {
  test('is built anew into an equal result while two replicas write and reads go on', async () => {
    const { database, again } = await databases.create(server)
    const projections = await start(database)
    await start(again())
    const ids = Array.from({ length: 300 }, (_, index) => `o-${index}`)
    for (const id of ids) await append(database, id, 0, placed(id))
    let reading = true
    let least = 0
    let reads = 0
    const reader = (async () => {
      while (reading) {
        const count = (await rows(database)).reduce((sum, { events }) => sum + events, 0)
        expect(count).toBeGreaterThanOrEqual(least)
        least = count
        reads += 1
        await sleep(1)
      }
    })()
    await projections.caughtUp()
    const rebuilt = projections.rebuild('seen')
    await Promise.all(ids.map((id) => append(database, id, 1, confirmed(id))))
    await rebuilt
    await projections.caughtUp()
    const before = await rows(database)
    await until(async () => (await database.query(state)).length === 1, 'one generation is left', 4_000, 20)
    expect(await database.query(state)).toEqual([{ generation: 2, version: 1, state: 'active' }])
    reading = false
    await reader
    expect(reads).toBeGreaterThan(10)
    expect(before).toHaveLength(300)
    expect(await rows(database)).toEqual(before)
    expect(before.every(({ events, last }) => events === 2 && last === OrderConfirmedSchema.typeName)).toBe(true)
  }, 30_000)

  test('is built anew into an equal result though whoever builds it is killed again and again, while writers go on', async () => {
    const { database, again, at } = await databases.create(server)
    const ids = Array.from({ length: 300 }, (_, index) => `o-${index}`)
    for (const id of ids) await append(database, id, 0, placed(id))
    const first = await start(database)
    await first.caughtUp()
    await first.close()
    const writer = (async () => {
      for (const id of ids) {
        await append(database, id, 1, confirmed(id))
        await sleep(10)
      }
    })()
    const left: number[] = []
    for (let kills = 0; kills < 4; kills += 1) {
      const script = join(import.meta.dirname, 'projection-fixture.ts')
      const child = spawn(process.execPath, [script, JSON.stringify(at)], { stdio: ['ignore', 'inherit', 'inherit'] })
      const ended = new Promise((resolve) => child.once('exit', resolve))
      await until(async () => (await database.query(state)).length === 2, 'one is being built', 10_000, 2)
      await sleep(15 * kills)
      child.kill('SIGKILL')
      await ended
      left.push((await database.query(state)).length)
    }
    await writer
    // It was killed before it was done.
    expect(left).toContain(2)
    const last = await start(again())
    await until(async () => (await database.query(state)).length === 1, 'one generation is left', 4_000, 20)
    await last.caughtUp()
    expect(await database.query(parked)).toEqual([])
    const found = await rows(database)
    expect(found).toHaveLength(300)
    expect(found.every(({ events, last }) => events === 2 && last === OrderConfirmedSchema.typeName)).toBe(true)
  }, 60_000)

  test('of a newer version takes the place of the older, with other columns', async () => {
    const { database, again } = await databases.create(server)
    const first = await start(database)
    await append(database, 'a', 0, placed('a'))
    await first.caughtUp()
    expect(await rows(database)).toEqual([{ id: 'a', events: 1, last: OrderPlacedSchema.typeName }])
    await first.close()
    const wider = { ...seen, version: 2, columns: `${seen.columns}, note text not null default 'new'` }
    await start(again(), wider)
    await until(async () => (await database.query(state)).length === 1, 'one generation is left', 4_000, 20)
    expect(await database.query(state)).toEqual([{ generation: 2, version: 2, state: 'active' }])
    expect(await rows(database)).toMatchObject([{ id: 'a', events: 1, note: 'new' }])
  })

  test('parks what it cannot apply with what follows in its stream; the others go on; mended, it catches up', async () => {
    const { database } = await databases.create(server)
    let broken = true
    const failing: typeof seen = {
      ...seen,
      async apply(to, events) {
        await seen.apply(to, events)
        if (broken && events.some(({ streamId }) => streamId === 'bad')) throw new Error('no such currency')
      },
    }
    const projections = await start(database, failing)
    await append(database, 'bad', 0, placed('bad'))
    await append(database, 'good', 0, placed('good'), confirmed('good'))
    await projections.caughtUp()
    await append(database, 'bad', 1, confirmed('bad'))
    await projections.caughtUp()
    expect(await rows(database)).toMatchObject([{ id: 'good', events: 2 }])
    expect(await database.query(parked)).toEqual([
      { stream_id: 'bad', version: 1, reason: 'no such currency' },
      { stream_id: 'bad', version: 2, reason: 'waits for an earlier event of its stream' },
    ])
    await projections.retryParked('seen')
    expect(await database.query(parked)).toHaveLength(2)
    broken = false
    await projections.retryParked('seen')
    expect(await database.query(parked)).toEqual([])
    expect(await rows(database)).toMatchObject([
      { id: 'bad', events: 2 },
      { id: 'good', events: 2 },
    ])
  })

  test('applies what was parked once, though several replicas try it again at the same time', async () => {
    const { database, again } = await databases.create(server)
    let broken = true
    const counting: typeof seen = {
      ...seen,
      async apply({ db, table }, events) {
        for (const { streamId, message } of events) {
          if (broken) throw new Error('not yet')
          // Unlike a row that is only set, this shows whatever is applied twice.
          await db
            .insertInto(table)
            .values({ id: streamId, events: 1, last: message.$typeName })
            .onConflict((conflict) =>
              conflict.column('id').doUpdateSet((eb) => ({ events: eb(`${table}.events`, '+', 1) })),
            )
            .execute()
        }
      },
    }
    const replicas = [await start(database, counting), await start(again(), counting)]
    const ids = Array.from({ length: 20 }, (_, index) => `o-${index}`)
    for (const id of ids) await append(database, id, 0, placed(id), confirmed(id))
    await replicas[0]?.caughtUp()
    expect(await database.query(parked)).toHaveLength(40)
    broken = false
    await Promise.all([...replicas, ...replicas].map((replica) => replica.retryParked('seen')))
    expect(await database.query(parked)).toEqual([])
    expect((await rows(database)).map(({ events }) => events)).toEqual(ids.map(() => 2))
  })

  test('parks an event whose type nobody here knows', async () => {
    const { database } = await databases.create(server)
    const newer = eventStore([OrderCancelledSchema])
    await database.transaction((tx) => newer.append(tx, 'x', 0, [create(OrderCancelledSchema, { orderId: 'x' })]))
    await append(database, 'y', 0, placed('y'))
    const projections = await start(database)
    await projections.caughtUp()
    expect(await rows(database)).toMatchObject([{ id: 'y' }])
    expect(await database.query(parked)).toMatchObject([{ stream_id: 'x', reason: expect.stringContaining('add its') }])
    // Which is what an operator is told.
    expect(await app.ask('projections', { path: ['seen', 'parked'] })).toMatchObject({ parked: [{ streamId: 'x' }] })
    expect(await app.ask('projections')).toEqual({
      projections: [{ name: 'seen', state: 'active', generation: 1, version: 1, lagSeconds: 0, parked: 1 }],
    })
    await expect(app.ask('projections', { path: ['order_list', 'parked'] })).rejects.toThrow('only: seen')
  })
})
