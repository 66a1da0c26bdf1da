import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { Connection } from 'rabbitmq-client'
import { replyExchange } from '#graph/names.ts'
import { asks, queue, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { type QuoteRequest, QuoteRequestSchema, QuoteSchema } from '#proto/parley/shipping/v1/quotes_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { runAsMessage } from '../context.ts'
import { withDeadline } from '../deadline.ts'
import { notFound } from '../errors.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { silentLog } from '../telemetry/log.ts'
import { startTelemetry, type Telemetry } from '../telemetry/telemetry.ts'
import { until } from '../until-fixture.ts'
import { answerer } from './answerer.ts'
import { type Asker, openAsker } from './asker.ts'
import type { MessageMeta } from './handlers.ts'
import { type Messaging, startMessaging } from './messaging.ts'
import { type RabbitmqFixture, startRabbitmq } from './rabbitmq-fixture.ts'

jest.setTimeout(40_000)

const questions = queue('questions', {
  carries: [QuoteRequestSchema],
  replies: QuoteSchema,
  redelivery: { attempts: 3, backoff: { baseMs: 20, maxMs: 100 } },
})
const planning = service('planning', { edges: [asks(questions, { deadlineMs: 800, inFlightMax: 60 })] })
const warehouse = service('notifications', { owns: [postgres()], edges: [works(questions, { prefetch: 20 })] })

type Handle = (question: QuoteRequest, meta: MessageMeta) => Promise<void> | void

let server: PostgresFixture
let rabbitmq: RabbitmqFixture
let at: PostgresConfiguration
let database: Database<object>
let telemetry: Telemetry
let asker: Asker<typeof questions>
let running: Messaging | undefined
let answering: ReturnType<typeof testApp<typeof warehouse>>

beforeAll(async () => {
  telemetry = await startTelemetry({ service: 'test', system: 'test', version: '0', environment: 'local' }, silentLog)
  ;[server, rabbitmq] = await Promise.all([startPostgres(), startRabbitmq(questions)])
  at = server.create('warehouse')
  database = openDatabase(testApp(warehouse, { postgres: at }))
  await migrate(database)
  asker = openAsker(testApp(planning, { rabbitmq: rabbitmq.asking }), questions)
  await until(() => asker.ready(), 'the reply queue is there')
}, 60_000)

afterEach(async () => {
  await running?.close()
  running = undefined
})

afterAll(async () => {
  await asker?.close()
  await database?.close()
  await Promise.all([server?.stop(), rabbitmq?.stop(), telemetry?.stop()])
})

async function start(handle: Handle = () => undefined): Promise<void> {
  await database.query(statement('truncate kit.inbox, kit.outbox, kit.dead_letters'))
  answering = testApp(warehouse, { rabbitmq: rabbitmq.configuration, postgres: at })
  const quote = async (question: QuoteRequest, _tx: unknown, meta: MessageMeta) => {
    await handle(question, meta)
    return { weightGrams: question.weightGrams }
  }
  const workers = [answerer(warehouse, questions, database, { QuoteRequest: quote })]
  running = await startMessaging(answering, { database, workers })
  await until(async () => Object.keys(await answering.notReady()).length === 0, 'the worker is there')
}

const ask = (weightGrams = 1) => asker.ask(QuoteRequestSchema, { weightGrams })

/** The value of a counter in the process's own metrics, with this label. */
async function counted(name: string, label: string): Promise<number> {
  const text = await new Promise<string>((resolve) => {
    const response = { statusCode: 0, setHeader: () => undefined, end: resolve }
    telemetry.serveMetrics({} as never, response as never)
  })
  const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes(label))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
const dropped = (reason: string) => counted('parley_replies_dropped', `reason="${reason}"`)

function connectWorker(): Connection {
  const { host, port, virtualHost, passwordFile, tls } = rabbitmq.configuration
  const password = readFileSync(passwordFile, 'utf8').trim()
  const ca = readFileSync(tls.authorityFile)
  const connection = new Connection({
    hostname: host,
    port,
    vhost: virtualHost,
    username: 'notifications',
    password,
    tls: { ca },
  })
  connection.on('error', () => undefined)
  return connection
}

describe('a question over a queue', () => {
  test('gets its own answer, with as many in flight as are allowed, and the cause goes along', async () => {
    const seen: string[] = []
    await start(async ({ weightGrams }, { correlationId }) => {
      seen.push(correlationId)
      await sleep(weightGrams % 7)
    })
    const answers = await runAsMessage('cause-1', () =>
      Promise.all(Array.from({ length: 60 }, (_, index) => ask(index))),
    )
    expect(answers.map(({ weightGrams }) => weightGrams)).toEqual(Array.from({ length: 60 }, (_, index) => index))
    expect(new Set(seen)).toEqual(new Set(['cause-1']))
  })

  test('has a deadline, which the worker hears of; the next question gets its own answer', async () => {
    let slow = true
    const aborted: boolean[] = []
    await start(async (_question, { signal }) => {
      if (!slow) return
      await sleep(200)
      aborted.push(signal.aborted)
    })
    const beganMs = performance.now()
    await expect(withDeadline(80, () => ask())).rejects.toMatchObject({ code: 'deadline-exceeded' })
    expect(performance.now() - beganMs).toBeLessThan(180)
    await until(() => aborted.length > 0, 'the handler ended')
    slow = false
    expect(await ask(7)).toMatchObject({ weightGrams: 7 })
    expect(aborted).toEqual([true])
    await until(async () => (await counted('parley_questions_expired', 'questions')) > 0, 'counted')
  })

  test('drops and counts an answer that comes late, again, or unasked', async () => {
    const metas: MessageMeta[] = []
    await start((_question, meta) => void metas.push(meta))
    await ask()
    await running?.close()
    await expect(withDeadline(30, () => ask())).rejects.toMatchObject({ code: 'deadline-exceeded' })
    const before = await Promise.all(['repeat', 'unknown'].map(dropped))
    const connection = connectWorker()
    const publisher = connection.createPublisher({ confirm: true })
    const { replyTo = '', id = '' } = metas[0] ?? {}
    const target = { exchange: replyExchange(questions.name), routingKey: replyTo }
    for (const correlationId of [id, 'never asked']) await publisher.send({ ...target, correlationId }, Buffer.alloc(0))
    // The question that was given up still lies in the queue: its answer is a late one.
    const late = await connection.basicGet({ queue: questions.name, noAck: true })
    await publisher.send({ ...target, correlationId: late?.correlationId ?? '' }, Buffer.alloc(0))
    await until(async () => (await dropped('late')) > 0, 'the late one counted')
    expect(await Promise.all(['repeat', 'unknown'].map(dropped))).toEqual(before.map((count) => count + 1))
    await publisher.close()
    await connection.close()
  })

  test('is refused at once where too many are open', async () => {
    await start()
    const codes = Array.from({ length: 70 }, () =>
      ask().then(
        () => 'answered',
        ({ code }) => code,
      ),
    )
    expect((await Promise.all(codes)).filter((code) => code === 'overloaded')).toHaveLength(10)
    expect(await ask()).toMatchObject({ weightGrams: 1 })
  })

  test('is answered once, though it is delivered twice', async () => {
    let answered = 0
    const connection = connectWorker()
    const original = await capture(connection)
    await start(() => {
      answered += 1
    })
    const publisher = connection.createPublisher({ confirm: true })
    const before = await Promise.all(['repeat', 'unknown', 'late'].map(dropped))
    const { headers, messageId, correlationId, replyTo, contentType, body } = original
    const again = { exchange: `${questions.name}.retry`, routingKey: questions.name, expiration: '1' }
    const same = { ...again, headers, messageId, correlationId, replyTo, contentType, durable: true }
    for (let delivery = 1; delivery <= 3; delivery += 1) await publisher.send(same as never, body)
    await until(
      async () => (await dropped('late')) > (before[2] ?? 0),
      'one answer, which comes too late for its asker',
    )
    await sleep(300)
    const after = await Promise.all(['repeat', 'unknown', 'late'].map(dropped))
    expect([answered, after]).toEqual([1, [before[0], before[1], (before[2] ?? 0) + 1]])
    await publisher.close()
    await connection.close()
  })

  test('that cannot be answered tells its asker why, and is no dead letter', async () => {
    let attempts = 0
    await start(({ weightGrams }) => {
      attempts += 1
      if (weightGrams === 0) throw notFound('no such product')
      throw new TypeError('a secret')
    })
    await expect(ask(0)).rejects.toMatchObject({ code: 'not-found', message: 'no such product' })
    expect(attempts).toBe(1)
    expect(await answering.ask('dead-letters')).toMatchObject({ letters: [] })
    await expect(ask()).rejects.toMatchObject({ code: 'internal', message: expect.not.stringContaining('secret') })
    expect(attempts).toBe(4)
    await until(async () => JSON.stringify(await answering.ask('dead-letters')).includes('a secret'), 'for us to see')
    const replay = answering.ask('dead-letters', { verb: 'POST', path: ['replay'] })
    expect(await replay).toMatchObject({ outcomes: [{ outcome: 'failed', reason: /nobody waits/ }] })
  })

  test('goes on after the broker was lost; meanwhile it fails at once', async () => {
    await start()
    await ask()
    await rabbitmq.crash()
    await until(() => !asker.ready(), 'the loss is noticed')
    await expect(ask()).rejects.toMatchObject({ code: 'unavailable' })
    await rabbitmq.start()
    await until(() => asker.ready(), 'there again')
    await until(async () => (await ask().catch(() => null))?.weightGrams === 1, 'answered again')
  })
})

/** A question as it lies in the queue, of an asker that gave up. */
async function capture(connection: Connection) {
  await expect(withDeadline(20, () => ask())).rejects.toMatchObject({ code: 'deadline-exceeded' })
  const message = await connection.basicGet({ queue: questions.name, noAck: true })
  if (!message) throw new Error('no question came')
  // As from an asker with more patience, but this one has none left.
  return { ...message, headers: { ...message.headers, 'parley-waits-ms': '60000' } }
}
