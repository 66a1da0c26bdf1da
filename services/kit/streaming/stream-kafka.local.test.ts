import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type kafkajs from 'kafkajs'
import { deadLetterTopic } from '#graph/names.ts'
import { type TestApp, testApp } from '../app/app-fixture.ts'
import type { KafkaConfiguration, PostgresConfiguration } from '../app/configuration.ts'
import { type BrokerFixture, createTopics, startBroker, superUser } from '../kafka/broker-fixture.ts'
import type { Consumer as Member, Producer } from '../kafka/port.ts'
import { connect } from '../kafka/select.ts'
import { type Messaging, startMessaging } from '../messaging/messaging.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { until } from '../until-fixture.ts'
import { beginReplay, cancelReplay } from './rebuild.ts'
import {
  facts,
  orderEvents,
  outcomeOf,
  outgoing,
  type Placed,
  tally,
  tallyStream,
  tallyWindows,
} from './streaming-fixture.ts'

jest.setTimeout(60_000)

const partitions = 4
const dead = deadLetterTopic('orders', 'tally')
const base = Date.now() - 3_600_000

let server: PostgresFixture
let broker: BrokerFixture
let kafka: KafkaConfiguration
let postgres: PostgresConfiguration
let database: Database<object>
let admin: kafkajs.Admin
let producer: Producer
let factReader: Member
let app: TestApp<typeof tally>
let running: Messaging | undefined
const children: ChildProcess[] = []
const factIds: string[] = []
/** Every order that was sent, and what a window must come to. */
const sent: Placed[] = []
const expected = new Map<number, { placed: bigint; revenue: bigint }>()

beforeAll(async () => {
  ;[server, broker] = await Promise.all([startPostgres(), startBroker()])
  const { caFile, certFile, keyFile } = broker.identity('admin')
  kafka = { brokers: broker.brokers, tls: { authorityFile: caFile, certFile, keyFile }, client: 'kafkajs' }
  postgres = server.create('tally')
  database = openDatabase(testApp(tally, { postgres }))
  await migrate(database)
  admin = superUser(broker).admin()
  await admin.connect()
  const topics = [orderEvents.name, facts.name, dead].map((topic) => ({ topic, numPartitions: partitions }))
  await createTopics(admin, ...topics)
  const wire = await connect({
    ...{ clientId: 'test', brokers: broker.brokers, tls: { caFile, certFile, keyFile } },
    onError: () => undefined,
  })
  producer = wire.producer()
  factReader = await wire.consume({
    ...{ groupId: 'reader', topics: [facts.name], from: 'earliest' },
    handle: async ({ records }) => void factIds.push(...records.map(({ headers }) => headers.ce_id ?? '')),
  })
  await start()
}, 90_000)

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await running?.close()
  await factReader?.close()
  await producer?.close()
  await admin?.disconnect()
  await database?.close()
  await Promise.all([server?.stop(), broker?.stop()])
}, 30_000)

async function start(factor = 1n): Promise<void> {
  app = testApp(tally, { kafka, postgres })
  running = await startMessaging(app, { database, streams: [tallyStream(database, {}, { factor })] })
}

/** Sends orders whose times go forward, each up to as late as is allowed. */
async function place(count: number): Promise<void> {
  const begin = sent.length
  const orders = Array.from({ length: count }, (_, at): Placed => {
    const number = begin + at
    const late = (number * 7_919) % tallyWindows.latenessMs
    return { key: `o-${number % 97}`, timeMs: base + number * 1_000 - late, minorUnits: BigInt(number + 1) }
  })
  await producer.send(orders.map((each) => outgoing(each)))
  for (const { timeMs, minorUnits = 0n } of orders) {
    const startsMs = timeMs - (timeMs % tallyWindows.sizeMs)
    const { placed, revenue } = expected.get(startsMs) ?? { placed: 0n, revenue: 0n }
    expected.set(startsMs, { placed: placed + 1n, revenue: revenue + minorUnits })
  }
  sent.push(...orders)
}

const results = async (factor = 1n) => {
  const rows = await database.query<{ text: string }>(
    statement(`
    select starts_ms || ' ' || counts::text as text from kit.stream_results where generation = (
      select generation from kit.streams where state = 'active') order by starts_ms`),
  )
  const whole = [...expected].sort(([a], [b]) => a - b)
  const wanted = whole.map(
    ([startsMs, { placed, revenue }]) => `${startsMs} {"placed": "${placed}", "revenue.EUR": "${revenue * factor}"}`,
  )
  return { seen: rows.map(({ text }) => text), wanted }
}
const isWhole = async (factor = 1n) => {
  const { seen, wanted } = await results(factor)
  return seen.join('\n') === wanted.join('\n')
}
const generation = async () =>
  (
    await database.query<{ generation: number }>(statement(`select generation from kit.streams where state = 'active'`))
  )[0]?.generation
const windowFacts = () => factIds.filter((id) => id.startsWith('tally.'))
const orderFacts = () => factIds.filter((id) => !id.startsWith('tally.'))

async function replay(from: string, topic?: string): Promise<object> {
  const before = await generation()
  const begun = await app.ask('replay', { verb: 'POST', body: { from, ...(topic && { topic }) } })
  await until(async () => (await generation()) === (before ?? 0) + 1, `the replay from ${from} is done`)
  return begun
}

test('two instances share the partitions; one is killed, and every window is as one that nothing happened to', async () => {
  await place(300)
  const script = join(import.meta.dirname, 'stream-crash-fixture.ts')
  const argument = JSON.stringify({ postgres, kafka })
  const other = spawn(process.execPath, [script, argument], { stdio: ['ignore', 'inherit', 'inherit'], env: {} })
  children.push(other)
  const epochs = () =>
    database.query<{ owners: number }>(
      statement(`
      select count(*)::int as owners from kit.stream_partitions where epoch > 1 and generation = 1`),
    )
  await until(
    async () => {
      await place(20)
      return ((await epochs())[0]?.owners ?? 0) >= partitions / 2
    },
    'the second instance writes to partitions of its own',
    40_000,
  )
  await place(400)
  other.kill('SIGKILL')
  await place(300)
  await until(() => isWhole(), 'every window is whole', 40_000)
  await until(() => orderFacts().length >= sent.length, 'every fact is published')
  expect(new Set(orderFacts()).size).toBe(sent.length)
  expect((await database.query(statement('select from kit.stream_late'))).length).toBe(0)
})

test('a replay from the beginning gives the same, byte by byte, while reads and new events go on, and publishes nothing again', async () => {
  const [before, facts] = [await outcomeOf(database), factIds.length]
  expect(await replay('beginning')).toMatchObject({ stream: 'tally', generation: 2, from: 'beginning' })
  expect(await outcomeOf(database)).toBe(before)
  expect(await app.ask('replay')).toMatchObject({ state: 'done', rebuiltFrom: 'beginning' })

  const going = app.ask('replay', { verb: 'POST', body: { from: 'beginning' } })
  await going
  await expect(app.ask('replay', { verb: 'POST', body: { from: 'beginning' } })).rejects.toMatchObject({
    code: 'failed-precondition',
  })
  await place(200)
  await until(async () => (await generation()) === 3, 'the replay is done')
  await until(() => isWhole(), 'what came meanwhile is counted')
  await until(() => new Set(orderFacts()).size === sent.length, 'and published')
  expect(orderFacts().length).toBe(sent.length)
  expect(factIds.length).toBeGreaterThan(facts)
})

test('a replay from a time or an offset rebuilds the windows from there on, and keeps the others', async () => {
  await until(() => isWhole(), 'all is quiet')
  const before = await outcomeOf(database)
  const middle = new Date(base + 600_000 + 1_234)
  const from = new Date(Math.floor(middle.getTime() / 60_000) * 60_000).toISOString()
  expect(await replay(middle.toISOString())).toMatchObject({ from })
  expect(await outcomeOf(database)).toBe(before)
  expect(await app.ask('replay')).toMatchObject({ rebuiltFrom: from })
  await replay('offset 150', 'orders')
  expect(await outcomeOf(database)).toBe(before)
  await expect(app.ask('replay', { verb: 'POST', body: { from: 'offset 1', topic: 'stock' } })).rejects.toMatchObject({
    code: 'invalid-argument',
  })
  await expect(app.ask('replay', { verb: 'POST', body: { from: 'yesterday' } })).rejects.toMatchObject({
    code: 'invalid-argument',
  })
})

test('a replay with mended code counts anew, and publishes the results that are others as corrections', async () => {
  const before = windowFacts().length
  await running?.close()
  await start(2n)
  await replay('beginning')
  expect(await isWhole(2n)).toBe(true)
  await until(() => windowFacts().length >= before + expected.size, 'each window is corrected')
  expect(windowFacts().length).toBe(before + expected.size)
})

test('a replay goes on where it was when every process is started anew', async () => {
  const [before, number] = [await outcomeOf(database), await generation()]
  await app.ask('replay', { verb: 'POST', body: { from: 'beginning' } })
  await running?.close()
  await start(2n)
  await until(async () => (await generation()) === (number ?? 0) + 1, 'the replay is done')
  expect(await outcomeOf(database)).toBe(before)
})

test('a replay that follows a cancelled one at once begins at its own beginning', async () => {
  const [before, number] = [await outcomeOf(database), await generation()]
  const given = tallyStream(database)
  const { generation: first } = await beginReplay(given, { kind: 'beginning' })
  const read = statement('select from kit.stream_partitions where generation = $1 and next_offset > 0')
  await until(async () => (await database.query(read, [first])).length > 0, 'the first replay reads')
  // No process sees that there was none for a moment.
  await cancelReplay(given)
  await beginReplay(given, { kind: 'beginning' })
  await until(async () => (await generation()) === (number ?? 0) + 2, 'the second replay is done')
  expect(await app.ask('replay')).toMatchObject({ state: 'done', rebuiltFrom: 'beginning' })
  expect(await outcomeOf(database)).toBe(before)
})

test('where the log was deleted up to an offset, windows that it no longer holds whole stay as they are', async () => {
  const before = await outcomeOf(database)
  await admin.fetchTopicOffsets(orderEvents.name)
  await admin.deleteTopicRecords({
    topic: orderEvents.name,
    partitions: [0, 1, 2, 3].map((partition) => ({ partition, offset: '60' })),
  })
  await replay('beginning')
  expect(await outcomeOf(database)).toBe(before)
  const { rebuiltFrom } = (await app.ask('replay')) as { rebuiltFrom: string }
  expect(Date.parse(rebuiltFrom)).toBeGreaterThan(base)
})

test('where nothing is left of the log, a replay ends all the same', async () => {
  const before = await outcomeOf(database)
  await admin.deleteTopicRecords({
    topic: orderEvents.name,
    partitions: [0, 1, 2, 3].map((partition) => ({ partition, offset: '-1' })),
  })
  await replay('beginning')
  expect(await outcomeOf(database)).toBe(before)
})
