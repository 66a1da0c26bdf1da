import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { SpanKind } from '@opentelemetry/api'
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node'
import { deadLetterTopic } from '#graph/names.ts'
import { OrderCancelledSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type TestApp, testApp } from '../app/app-fixture.ts'
import type { KafkaConfiguration, PostgresConfiguration } from '../app/configuration.ts'
import { runAsMessage } from '../context.ts'
import { type BrokerFixture, createTopics, startBroker, superUser } from '../kafka/broker-fixture.ts'
import type { IncomingRecord, Kafka } from '../kafka/port.ts'
import { connect } from '../kafka/select.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { inSpan, startTelemetry } from '../telemetry/telemetry.ts'
import { until } from '../until-fixture.ts'
import { PermanentFailure } from './dead-letter.ts'
import { type Messaging, startMessaging } from './messaging.ts'
import {
  type Before,
  type EffectTables,
  effectTable,
  orderEvents,
  orders,
  shipping,
  shippingConsumer,
} from './messaging-fixture.ts'
import { publisher } from './publisher.ts'
import type { Replayed } from './replay.ts'

jest.setTimeout(40_000)

type SpanExporter = NonNullable<NodeSDKConfiguration['traceExporter']>
type ReadableSpan = Parameters<SpanExporter['export']>[0][number]

const publish = publisher(orders, orderEvents)
const dead = deadLetterTopic('orders', 'shipping')

let server: PostgresFixture
let broker: BrokerFixture
let kafka: KafkaConfiguration
let wire: Kafka
let source: Database<object>
let sink: Database<EffectTables>
let sinkAt: PostgresConfiguration
let sourceMessaging: Messaging
let running: Messaging | undefined
let app: TestApp<typeof shipping>
const children: ChildProcess[] = []
const deadLetters: IncomingRecord[] = []

beforeAll(async () => {
  ;[server, broker] = await Promise.all([startPostgres(), startBroker()])
  const { caFile, certFile, keyFile } = broker.identity('admin')
  kafka = { brokers: broker.brokers, tls: { authorityFile: caFile, certFile, keyFile }, client: 'kafkajs' }
  wire = await connect({
    clientId: 'test',
    brokers: broker.brokers,
    tls: { caFile, certFile, keyFile },
    onError: () => undefined,
  })
  await makeTopics()
  const sourceApp = testApp(orders, { kafka, postgres: server.create('orders') })
  source = openDatabase(sourceApp)
  await migrate(source)
  sourceMessaging = await startMessaging(sourceApp, { database: source })
  sinkAt = server.create('shipping')
  sink = openDatabase(testApp(shipping, { postgres: sinkAt }))
  await migrate(sink)
  await sink.query(effectTable)
  const handle = async ({ records }: { records: readonly IncomingRecord[] }) => void deadLetters.push(...records)
  reader = await wire.consume({ groupId: 'reader', topics: [dead], from: 'earliest', handle })
}, 90_000)

let reader: Messaging | undefined

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await running?.close()
  running = undefined
  await sink.query(statement('truncate effect, kit.parked_keys, kit.inbox, kit.dead_letters'))
  deadLetters.length = 0
})

afterAll(async () => {
  await reader?.close()
  await sourceMessaging?.close()
  await source?.close()
  await sink?.close()
  await Promise.all([server?.stop(), broker?.stop()])
}, 30_000)

async function makeTopics(): Promise<void> {
  const admin = superUser(broker).admin()
  await admin.connect()
  const topics = ['orders', dead].map((topic) => ({ topic, numPartitions: 3, replicationFactor: 1 }))
  await createTopics(admin, ...topics)
  await admin.disconnect()
}

async function start(before: Before = () => undefined): Promise<void> {
  app = testApp(shipping, { kafka, postgres: sinkAt })
  running = await startMessaging(app, { database: sink, consumers: [shippingConsumer(sink, before)] })
  await until(async () => Object.keys(await app.notReady()).length === 0, 'joined')
}

function place(orderId: string, id?: string): Promise<string> {
  return source.transaction(async (tx) => publish(tx, OrderPlacedSchema, { orderId }, id ? { id } : {}))
}

const effectsOf = async () =>
  (await sink.db.selectFrom('effect').select('event_id').execute()).map((row) => row.event_id)

type Crash = { dieOn: string; when: 'before the commit' | 'after the commit'; batch?: readonly string[] }

function runCrashing(crash: Crash): Promise<NodeJS.Signals | null> {
  const script = join(import.meta.dirname, 'consumer-crash-fixture.ts')
  const argument = JSON.stringify({ postgres: sinkAt, kafka, ...crash })
  const child = spawn(process.execPath, [script, argument], { stdio: ['ignore', 'inherit', 'inherit'], env: {} })
  children.push(child)
  return new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)))
}

describe('a consumer', () => {
  test('gives an event one effect, however often it is published, with the correlation id that caused it', async () => {
    await start()
    await runAsMessage('cause-1', () => place('a', 'twice'))
    await place('a', 'twice')
    await source.transaction(async (tx) => {
      for (const id of ['twice', 'x', 'twice', 'x']) publish(tx, OrderPlacedSchema, { orderId: 'a' }, { id })
      publish(tx, OrderCancelledSchema, { orderId: 'a' }, { id: 'not declared' })
      publish(tx, OrderConfirmedSchema, { orderId: 'a' }, { id: 'prepared' })
    })
    await until(async () => (await effectsOf()).includes('prepared'), 'handled')
    expect(await effectsOf()).toEqual(['twice', 'x', 'prepared'])
    expect(await sink.db.selectFrom('effect').selectAll().executeTakeFirst()).toMatchObject({
      correlation_id: 'cause-1',
    })
  })

  test('goes on in the trace of whoever caused the event', async () => {
    const finished: ReadableSpan[] = []
    const traceExporter: SpanExporter = {
      export: (spans, done) => {
        finished.push(...spans)
        done({ code: 0 })
      },
      shutdown: () => Promise.resolve(),
    }
    const about = { service: 'test', system: 'test', version: '0', environment: 'local' }
    const telemetry = await startTelemetry(about, silentLog, { traceExporter })
    await start()
    const caused = inSpan('the cause', { kind: SpanKind.SERVER }, async (span) => {
      await place('traced', 'traced')
      return span.spanContext().traceId
    })
    const traceId = await caused
    const spans = () => finished.filter((span) => span.spanContext().traceId === traceId)
    await until(() => spans().length === 3, 'three spans exported')
    const byName = new Map(spans().map((span) => [span.name, span]))
    const [publishing, processing] = [byName.get('publish orders'), byName.get('process orders')]
    expect([publishing?.kind, processing?.kind]).toEqual([SpanKind.PRODUCER, SpanKind.CONSUMER])
    expect(processing?.parentSpanContext?.spanId).toBe(publishing?.spanContext().spanId)
    expect(processing?.links).toHaveLength(1)
    await telemetry.stop()
  })

  test('keeps the order of every key over many batches', async () => {
    await start()
    for (let round = 0; round < 30; round += 1) {
      await source.transaction(async (tx) => {
        for (let index = 0; index < 30; index += 1) {
          publish(tx, OrderPlacedSchema, { orderId: `k${index % 7}` }, { id: `k${index % 7}-${round * 30 + index}` })
        }
      })
    }
    await until(async () => (await effectsOf()).length >= 900, 'all handled')
    const rows = await sink.db
      .selectFrom('effect')
      .select(['event_id', 'order_id'])
      .orderBy('number' as 'event_id')
      .execute()
    for (const [key, its] of Map.groupBy(rows, (row) => row.order_id)) {
      const numbers = its.map((row) => Number(row.event_id.slice(key.length + 1)))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    }
    expect(rows).toHaveLength(900)
  })

  test('that dies between an effect and its acknowledgement repeats nothing', async () => {
    await place('before')
    const ended = runCrashing({ dieOn: 'deadly', when: 'after the commit' })
    await until(async () => (await effectsOf()).length === 1, 'the child works')
    const ids = await Promise.all([place('deadly'), place('after-1'), place('after-2')])
    expect(await ended).toBe('SIGKILL')
    await start()
    await until(async () => (await effectsOf()).length >= 4, 'the rest handled')
    await sleep(200)
    expect(new Set(await effectsOf()).size).toBe(4)
    expect(await effectsOf()).toEqual(expect.arrayContaining(ids))
    expect(await effectsOf()).toHaveLength(4)
  })

  test('that dies of an event again and again gives it up after its attempts', async () => {
    const lives: (NodeJS.Signals | null)[] = []
    const batch = ['first', 'killer', 'last']
    do lives.push(await runCrashing({ dieOn: 'killer', when: 'before the commit', batch }))
    while (lives.at(-1) === 'SIGKILL' && lives.length < 8)
    expect(lives).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL', null])
    expect(await effectsOf()).toEqual(['first', 'last'])
    expect(
      await sink.query(
        statement(`delete from kit.outbox returning event_id, key, headers->>'dead-letter-code' as code`),
      ),
    ).toEqual([{ event_id: 'killer', key: 'killer', code: 'ATTEMPTS_USED_UP' }])
    expect(await sink.query(statement('select * from kit.deliveries'))).toEqual([])
  })
})

describe('dead letters', () => {
  test('a failing event leaves with its reason, its neighbours go on, and its key’s later events stay behind it', async () => {
    let attempts = 0
    await start((orderId) => {
      if (orderId !== 'bad') return
      attempts += 1
      throw new TypeError('cannot be shipped')
    })
    const neighbours = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6']
    const bad = await place('bad')
    for (const orderId of neighbours) await place(orderId, orderId)
    const behind = [await place('bad'), await place('bad')]
    await until(() => deadLetters.length === 3, 'three dead letters')
    await until(async () => (await effectsOf()).length === 6, 'neighbours handled')
    expect((await effectsOf()).sort()).toEqual(neighbours)
    const [first, ...others] = deadLetters
    expect(first?.key).toBe('bad')
    expect(first?.headers).toMatchObject({
      ce_id: bad,
      ce_type: OrderPlacedSchema.typeName,
      'dead-letter-code': 'ATTEMPTS_USED_UP',
      'dead-letter-reason': 'cannot be shipped',
      'dead-letter-exception': 'TypeError',
      'dead-letter-attempts': '3',
      'dead-letter-consumer': 'shipping',
      'dead-letter-origin': 'orders',
    })
    expect(first?.headers['dead-letter-offset']).toMatch(/^\d+$/)
    expect(first?.value.length).toBeGreaterThan(0)
    expect(others.map(({ headers }) => headers.ce_id)).toEqual(behind)
    for (const { headers } of others) {
      expect(headers).toMatchObject({ 'dead-letter-code': 'BEHIND', 'dead-letter-reason': `behind ${bad}` })
    }
    // A batch that failed as a whole is tried one by one, so the first attempt may run twice.
    expect(attempts).toBeLessThanOrEqual(4)
  })

  test('is replayed for its own group alone, and what follows it goes on behind it', async () => {
    let broken = true
    await start((orderId) => {
      if (broken && orderId === 'mended') throw new TypeError('not yet')
    })
    const ids = [await place('mended'), await place('mended')]
    await until(() => deadLetters.length === 2, 'two dead letters')
    broken = false
    const ask = async () => (await app.ask('dead-letters', { verb: 'POST', path: ['replay'] })) as Replayed
    const [one, two] = await Promise.all([ask(), ask()])
    const handled = [...one.outcomes, ...two.outcomes].filter(({ outcome }) => outcome === 'handled')
    expect(handled.map(({ eventId }) => eventId)).toEqual(ids)
    ids.push(await place('mended'))
    await until(async () => (await effectsOf()).length === 3, 'the next event handled')
    expect(await effectsOf()).toEqual(ids)
    await until(async () => (await source.query(statement('select from kit.outbox'))).length === 0, 'nothing to send')
    expect(deadLetters).toHaveLength(2)
  })

  test('a permanent failure is not tried again', async () => {
    await start(() => {
      throw new PermanentFailure('never')
    })
    await place('hopeless')
    await until(() => deadLetters.length === 1, 'a dead letter')
    expect(deadLetters[0]?.headers).toMatchObject({ 'dead-letter-code': 'PERMANENT', 'dead-letter-attempts': '1' })
  })

  test('what is no event at all leaves at once', async () => {
    await start()
    const producer = wire.producer()
    const good = { ce_specversion: '1.0', ce_id: 'p', ce_source: '/x', ce_time: '2026-01-01T00:00:00Z' }
    const type = { ce_type: OrderPlacedSchema.typeName, 'content-type': 'application/protobuf' }
    await producer.send([
      { topic: 'orders', key: 'p1', value: Buffer.from('not protobuf'), headers: { ...good, ...type } },
      { topic: 'orders', key: 'p2', value: Buffer.from('{}'), headers: {} },
    ])
    await producer.close()
    await place('fine', 'fine')
    await until(() => deadLetters.length === 2, 'two dead letters')
    await until(async () => (await effectsOf()).length === 1, 'the good one handled')
    const codes = deadLetters.map(({ key, value, headers }) => [key, String(value), headers['dead-letter-code']]).sort()
    expect(codes).toEqual([
      ['p1', 'not protobuf', 'PAYLOAD_MALFORMED'],
      ['p2', '{}', 'ENVELOPE_ATTRIBUTE_MISSING'],
    ])
  })

  test('a database that is away costs no attempt', async () => {
    await start()
    await place('warm-up', 'warm-up')
    await until(async () => (await effectsOf()).length === 1, 'running')
    await source.query(statement('select 1'))
    const producer = wire.producer()
    const headers = {
      ce_specversion: '1.0',
      ce_id: 'during',
      ce_source: '/x',
      ce_time: '2026-01-01T00:00:00Z',
      ce_type: OrderPlacedSchema.typeName,
      'content-type': 'application/protobuf',
    }
    await server.crash()
    await producer.send([{ topic: 'orders', key: 'o', value: Buffer.alloc(0), headers }])
    await sleep(1_500)
    await server.start()
    await producer.close()
    await until(async () => (await effectsOf()).includes('during'), 'handled after the outage')
    await sleep(200)
    expect(deadLetters).toEqual([])
    expect(await effectsOf()).toEqual(['warm-up', 'during'])
  })
})
