import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { type Database, statement } from './database.ts'
import { freshDatabases } from './database-fixture.ts'
import { violates } from './errors.ts'
import { type PostgresFixture, startPostgres } from './postgres-fixture.ts'

// One connection, so that each transaction meets what the one before has left of it.
const orders = service('orders', { owns: [postgres({ connectionsMax: 1 })] })
type Tables = { line: { id: number; text: string } }

const createLines = statement('create table line (id integer primary key, text text not null)')
const insertLine = statement('insert into line (id, text) values ($1, $2) returning id::bigint')
const selectLines = statement('select id from line order by id')
const isolation = statement(
  `select current_setting('transaction_isolation') as level, txid_current_if_assigned() as id`,
)

let server: PostgresFixture
const databases = freshDatabases<Tables>(orders)

beforeAll(async () => {
  server = await startPostgres()
}, 60_000)

afterEach(() => databases.close())
afterAll(() => server?.stop())

async function freshLines(): Promise<Database<Tables>> {
  const { database } = await databases.create(server)
  await database.query(createLines)
  return database
}

async function linesOf(database: Database<Tables>): Promise<number[]> {
  return (await database.query<{ id: number }>(selectLines)).map(({ id }) => id)
}

test('a transaction begins with its first statement, under its isolation, and reads its types', async () => {
  const database = await freshLines()
  const read = () => database.transaction((tx) => tx.query(isolation), { isolation: 'serializable' })
  expect(await read()).toEqual([{ level: 'serializable', id: null }])
  expect(await database.transaction((tx) => tx.query(insertLine, [1, 'one']))).toEqual([{ id: 1n }])
  expect(await linesOf(database)).toEqual([1])
})

test('one that asks nothing sends nothing, and tells that it is done', async () => {
  const database = await freshLines()
  const told: string[] = []
  await database.transaction(async (tx) => tx.afterCommit(() => told.push('committed')))
  expect(told).toEqual(['committed'])
})

test('what fails together with the commit undoes the whole, and the connection goes on', async () => {
  const database = await freshLines()
  const failing = database.transaction(async (tx) => {
    tx.lastly(insertLine, () => [1, 'again'])
    tx.lastly(selectLines, () => [])
    await tx.query(insertLine, [1, 'one'])
  })
  expect(violates(await failing.catch((error: unknown) => error), 'line_pkey')).toBe(true)
  expect(await linesOf(database)).toEqual([])
  // Prepared or skipped a moment ago: each statement can be had again.
  await database.transaction(async (tx) => {
    await tx.query(insertLine, [2, 'two'])
    tx.lastly(insertLine, () => [3, 'three'])
  })
  expect(await linesOf(database)).toEqual([2, 3])
})

test('what goes along with the commit tells its rows once they are durable, and only then', async () => {
  const database = await freshLines()
  const told: unknown[] = []
  const write = (id: number, also: number) =>
    database.transaction(async (tx) => {
      tx.afterCommit(() => told.push('committed'))
      tx.lastly(
        insertLine,
        () => [id, 'last'],
        (rows) => told.push(...rows),
      )
      tx.lastly(insertLine, () => [also, 'very last'])
    })
  await write(1, 2)
  await expect(write(3, 1)).rejects.toThrow('line_pkey')
  expect(told).toEqual([{ id: 1n }, 'committed'])
})

test('a first statement that fails, on the server or before it is sent, leaves nothing open', async () => {
  const database = await freshLines()
  await database.query(insertLine, [1, 'one'])
  await expect(database.transaction((tx) => tx.query(insertLine, [1, 'again']))).rejects.toThrow('line_pkey')
  const circle: { self?: unknown } = {}
  circle.self = circle
  const unsendable = database.transaction(async (tx) => {
    tx.lastly(insertLine, () => [3, circle])
    await tx.query(insertLine, [2, 'two'])
  })
  await expect(unsendable).rejects.toThrow('circular')
  expect(await linesOf(database)).toEqual([1])
})

test('a failure that was swallowed is told at the commit', async () => {
  const database = await freshLines()
  const swallowing = database.transaction(async (tx) => {
    await tx.db.insertInto('line').values({ id: 1, text: 'one' }).execute()
    await tx.query(insertLine, [1, 'again']).catch(() => undefined)
  })
  await expect(swallowing).rejects.toThrow('rolled back')
  expect(await linesOf(database)).toEqual([])
})
