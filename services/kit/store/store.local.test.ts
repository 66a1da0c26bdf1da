import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { topic } from '#graph/topic.ts'
import { OrderAcceptedSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import { type Aggregate, decideAndAppend, load } from './aggregate.ts'
import { openDatabase, statement } from './database.ts'
import { freshDatabases } from './database-fixture.ts'
import { eventStore, logStart, StreamConflict, UnknownEvent, upcast } from './event-store.ts'
import { migrate } from './migrations.ts'
import { type PostgresFixture, startPostgres } from './postgres-fixture.ts'

const orderEvents = topic('orders', { carries: [OrderPlacedSchema, OrderConfirmedSchema], key: 'orderId' })
const orders = service('orders', { owns: [postgres({ connectionsMax: 30 })], publishes: [orderEvents] })
type Tables = { counter: { id: string; value: number } }

let server: PostgresFixture
let folder: string
const databases = freshDatabases<Tables>(orders)

const freshDatabase = () => databases.create(server)

beforeAll(async () => {
  server = await startPostgres()
  folder = mkdtempSync(join(tmpdir(), 'parley-store-'))
}, 60_000)

afterEach(async () => {
  await databases.close()
})

afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('migrations', () => {
  const file = (name: string, sql: string) => writeFileSync(join(folder, name), sql)

  test('run once, together, and refuse a changed, failing or late file', async () => {
    const { database, again } = await freshDatabase()
    file('001-counter.sql', 'create table counter (id text primary key, value integer not null);')
    const applied = await Promise.all([migrate(database, folder), migrate(again(), folder), migrate(again(), folder)])
    expect(applied.flat()).toEqual(['service/001-counter.sql'])
    file('003-wrong.sql', 'select 1;\nselect nonsense;')
    await expect(migrate(database, folder)).rejects.toThrow('service/003-wrong.sql, line 2')
    file('003-wrong.sql', 'select 1')
    expect(await migrate(database, folder)).toEqual(['service/003-wrong.sql'])
    file('002-late.sql', 'select 1')
    await expect(migrate(database, folder)).rejects.toThrow('give it the next number')
    rmSync(join(folder, '002-late.sql'))
    file('001-counter.sql', 'create table counter (id text);')
    await expect(migrate(database, folder)).rejects.toThrow('was changed after it had been applied')
    file('001-again.sql', '')
    await expect(migrate(database, folder)).rejects.toThrow('the number 001 is taken')
  })
})

describe('a database', () => {
  test('rolls back, tells of swallowed failures, and refuses a transaction that has ended', async () => {
    const { database } = await freshDatabase()
    await database.query(statement('create table counter (id text primary key, value integer not null)'))
    const one = { id: 'a', value: 1 }
    const failing = database.transaction(async ({ db }) => {
      await db.insertInto('counter').values(one).execute()
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    const swallowing = database.transaction(async ({ db }) => {
      await db.insertInto('counter').values(one).execute()
      await db
        .insertInto('counter')
        .values(one)
        .execute()
        .catch(() => undefined)
    })
    await expect(swallowing).rejects.toThrow('rolled back')
    expect(await database.db.selectFrom('counter').selectAll().execute()).toEqual([])
    const leaked = await database.transaction(async (tx) => tx)
    await expect(leaked.db.selectFrom('counter').selectAll().execute()).rejects.toThrow('has ended')
    expect(await database.query(statement('select 9007199254740993 as big'))).toEqual([{ big: 9_007_199_254_740_993n }])
  })

  test('reads on through a connection whose tables gain a column, as in a roll-out', async () => {
    const { database } = await freshDatabase()
    await database.query(statement('create table counter (id text primary key, value integer not null)'))
    await database.transaction(async ({ db }) => {
      const read = () => db.selectFrom('counter').selectAll().execute()
      const write = (id: string) => db.insertInto('counter').values({ id, value: 1 }).returningAll().execute()
      expect([await read(), await write('a')]).toEqual([[], [{ id: 'a', value: 1 }]])
      await sql`alter table counter add column note text`.execute(db)
      expect(await read()).toEqual([{ id: 'a', value: 1, note: null }])
      expect(await write('b')).toEqual([{ id: 'b', value: 1, note: null }])
    })
  })

  test('repeats a serialization failure as often as it is told, and no more', async () => {
    const { database } = await freshDatabase()
    await database.query(statement('create table counter (id text primary key, value integer not null)'))
    await database.db.insertInto('counter').values({ id: 'a', value: 0 }).execute()
    const increment = () =>
      database.transaction(
        async ({ db }) => {
          const { value } = await db
            .selectFrom('counter')
            .select('value')
            .where('id', '=', 'a')
            .executeTakeFirstOrThrow()
          await sleep(2)
          await db
            .updateTable('counter')
            .set({ value: value + 1 })
            .execute()
        },
        { isolation: 'serializable', attempts: 30 },
      )
    await Promise.all(Array.from({ length: 5 }, increment))
    expect(await database.db.selectFrom('counter').select('value').executeTakeFirst()).toEqual({ value: 5 })
  })
})

describe('the event store', () => {
  const store = eventStore([OrderPlacedSchema, OrderConfirmedSchema])
  type Message = ReturnType<typeof placed> | ReturnType<typeof confirmed>
  const placed = (orderId: string) => create(OrderPlacedSchema, { orderId })
  const confirmed = (orderId: string) => create(OrderConfirmedSchema, { orderId })

  test('100 writers of one stream leave no gap, lose nothing, and none has to try more often than usual', async () => {
    const { database } = await freshDatabase()
    const aggregate = { initial: 0, evolve: (count: number, _message: Message) => count + 1 }
    await Promise.all(
      Array.from({ length: 100 }, () =>
        decideAndAppend(database, store, aggregate, 'o-1', () => [placed('o-1'), confirmed('o-1')]),
      ),
    )
    const { version, events } = await store.read(database, 'o-1')
    expect(version).toBe(200)
    expect(events.map((event) => event.version)).toEqual(Array.from({ length: 200 }, (_, index) => index + 1))
    expect(events.map((event) => event.message.$typeName)).toEqual(
      Array.from({ length: 100 }, () => [OrderPlacedSchema.typeName, OrderConfirmedSchema.typeName]).flat(),
    )
  }, 30_000)

  test('refuses a version that is past, and one that is not reached', async () => {
    const { database } = await freshDatabase()
    const append = (version: number) => database.transaction((tx) => store.append(tx, 's', version, [placed('s')]))
    expect(await append(0)).toBe(1)
    await expect(append(0)).rejects.toThrow(StreamConflict)
    await expect(append(5)).rejects.toThrow(StreamConflict)
    expect((await store.read(database, 's')).version).toBe(1)
  })

  test('readers of the whole log skip nothing that commits late', async () => {
    const { database } = await freshDatabase()
    const release = Promise.withResolvers<void>()
    const slow = database.transaction(async (tx) => {
      await store.append(tx, 'slow', 0, [placed('slow')])
      await release.promise
    })
    await sleep(20)
    await database.transaction((tx) => store.append(tx, 'fast', 0, [placed('fast')]))
    const before = await store.readLog(database, logStart, 10)
    release.resolve()
    await slow
    const after = await store.readLog(database, before.at(-1)?.position ?? logStart, 10)
    expect([...before, ...after].map(({ streamId }) => streamId).sort()).toEqual(['fast', 'slow'])
  })

  test('keeps a stream in order in the log, though the later event has the older transaction', async () => {
    const { database } = await freshDatabase()
    await database.transaction(async (older) => {
      await older.query(statement('select pg_current_xact_id()'))
      await database.transaction((younger) => store.append(younger, 's', 0, [placed('s')]))
      await store.append(older, 's', 1, [confirmed('s')])
    })
    const log = await store.readLog(database, logStart, 10)
    expect(log.map(({ version }) => version)).toEqual([1, 2])
    expect(await store.readLog(database, log[0]?.position ?? '', 10, 's')).toMatchObject([{ version: 2 }])
  })

  test('orders the log by the number of the transaction, not by its text', async () => {
    const { database } = await freshDatabase()
    const insert = statement(`
      insert into kit.events (transaction_id, stream_id, version, type, payload, correlation_id, recorded_at)
      values ($1::text::xid8, $1, 1, $2, '', '', now())`)
    for (const transaction of ['10', '9']) await database.query(insert, [transaction, OrderPlacedSchema.typeName])
    const log = await store.readLog(database, logStart, 10)
    expect(log.map(({ streamId }) => streamId)).toEqual(['9', '10'])
    expect(await store.readLog(database, log[0]?.position ?? '', 10)).toMatchObject([{ streamId: '10' }])
  })

  test('tells what was known at a time, whatever the clocks of the writers say', async () => {
    const { database, at } = await freshDatabase()
    const early = new Date('2026-01-01T00:00:00Z')
    const late = new Date('2026-01-01T00:10:00Z')
    const replica = (now: Date) => openDatabase<Tables>(testApp(orders, { postgres: at }), { clock: () => now })
    const [first, second, third] = [replica(early), replica(late), replica(early)]
    await first.transaction((tx) => store.append(tx, 's', 0, [placed('s')]))
    await second.transaction((tx) => store.append(tx, 's', 1, [confirmed('s')]))
    await third.transaction((tx) => store.append(tx, 's', 2, [confirmed('s')]))
    for (const replica of [first, second, third]) await replica.close()
    const known = async (asOf: string) => (await store.read(database, 's', { asOf: new Date(asOf) })).version
    expect([await known('2025-12-31T23:59:59Z'), await known('2026-01-01T00:05:00Z')]).toEqual([0, 1])
    expect(await known('2026-01-01T00:10:00Z')).toBe(3)
  })

  test('goes on from a snapshot, and rebuilds where its form has changed', async () => {
    const { database } = await freshDatabase()
    let evolved = 0
    const counting = (form: number): Aggregate<number, Message> => ({
      initial: 0,
      evolve: (count) => {
        evolved += 1
        return count + 1
      },
      snapshots: {
        everyEvents: 10,
        form,
        write: (count) => Buffer.from(String(count)),
        read: (bytes) => Number(Buffer.from(bytes)),
      },
    })
    for (let version = 0; version < 25; version += 1) {
      await decideAndAppend(database, store, counting(1), 's', () => [placed('s')])
    }
    const costOf = async (form: number) => {
      evolved = 0
      expect(await load(database, store, counting(form), 's')).toEqual({ state: 25, version: 25 })
      return evolved
    }
    expect([await costOf(1), await costOf(2)]).toEqual([5, 25])
  })

  test('reads an old version as today, and says which event it does not know', async () => {
    const { database } = await freshDatabase()
    const then = eventStore([OrderAcceptedSchema])
    const accepted = create(OrderAcceptedSchema, { orderId: 's', customerId: 'c-1' })
    await database.transaction((tx) => then.append(tx, 's', 0, [accepted]))
    await expect(store.read(database, 's').then(({ events }) => events[0]?.message)).rejects.toThrow(UnknownEvent)
    const turn = upcast(OrderAcceptedSchema, ({ orderId, customerId }) =>
      create(OrderPlacedSchema, { orderId, customerId }),
    )
    const now = eventStore([OrderPlacedSchema, OrderConfirmedSchema], [turn])
    const { events } = await now.read(database, 's')
    expect(events).toMatchObject([{ type: OrderAcceptedSchema.typeName, version: 1 }])
    expect(events[0]?.message).toEqual(create(OrderPlacedSchema, { orderId: 's', customerId: 'c-1' }))
  })
})
