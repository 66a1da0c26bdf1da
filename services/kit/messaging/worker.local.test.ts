import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { Connection, type Envelope } from 'rabbitmq-client'
import { queue, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { type TestApp, testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { until } from '../until-fixture.ts'
import { encodeEnvelope, protobufType } from './envelope.ts'
import { type Messaging, startMessaging } from './messaging.ts'
import { type EffectTables, effectTable, emails, notifications, orderEvents, orders } from './messaging-fixture.ts'
import { publisher, sender } from './publisher.ts'
import { type RabbitmqFixture, startRabbitmq } from './rabbitmq-fixture.ts'
import { worker } from './worker.ts'

jest.setTimeout(60_000)

type Handle = (emailId: string, attempt: number) => Promise<void> | void

const send = sender(notifications, emails)
const reminders = queue('reminders', {
  carries: [SendEmailSchema],
  redelivery: { attempts: 9, backoff: { baseMs: 50, maxMs: 6_400 } },
})
let server: PostgresFixture
let rabbitmq: RabbitmqFixture
let at: PostgresConfiguration
let database: Database<EffectTables>
let running: Messaging | undefined
let app: TestApp<typeof notifications>

beforeAll(async () => {
  ;[server, rabbitmq] = await Promise.all([startPostgres(), startRabbitmq(emails, reminders)])
  at = server.create('notifications')
  database = openDatabase(testApp(notifications, { postgres: at }))
  await migrate(database)
  await database.query(effectTable)
})

afterEach(async () => {
  await running?.close()
  running = undefined
})

afterAll(async () => {
  await database?.close()
  await Promise.all([server?.stop(), rabbitmq?.stop()])
})

async function start(handle: Handle): Promise<void> {
  await database.query(statement('truncate effect, kit.inbox, kit.outbox, kit.dead_letters'))
  app = testApp(notifications, { rabbitmq: rabbitmq.configuration, postgres: at })
  running = await startMessaging(app, { database, workers: [emailWorker(handle)] })
}

function emailWorker(handle: Handle) {
  const prepare = async ({ emailId }: { emailId: string }, { id, attempt, correlationId }: Meta) => {
    await handle(emailId, attempt)
    const row = { event_id: id, order_id: emailId, attempt, correlation_id: correlationId }
    return async (tx: { db: Database<EffectTables>['db'] }) =>
      void (await tx.db.insertInto('effect').values(row).execute())
  }
  return worker(notifications, emails, database, { SendEmail: { prepare } })
}
type Meta = { readonly id: string; readonly attempt: number; readonly correlationId: string }

function ask(emailId: string, id = emailId): Promise<string> {
  return database.transaction(async (tx) => send(tx, SendEmailSchema, { emailId }, { id }))
}

const effects = () => database.db.selectFrom('effect').select(['event_id', 'attempt']).execute()

/** A connection of the same user, to look and to meddle. */
function connect(): Connection {
  const { host, port, virtualHost, passwordFile, tls } = rabbitmq.configuration
  const connection = new Connection({
    hostname: host,
    port,
    vhost: virtualHost,
    username: notifications.name,
    password: readFileSync(passwordFile, 'utf8').trim(),
    tls: { ca: readFileSync(tls.authorityFile) },
  })
  connection.on('error', () => undefined)
  return connection
}

/** Puts a message into the broker as the same user. */
async function put(envelope: Envelope, body: string | object = Buffer.alloc(0)): Promise<void> {
  const connection = connect()
  const publisher = connection.createPublisher({ confirm: true })
  await publisher.send(envelope, body)
  await publisher.close()
  await connection.close()
}

/** A task as a sender puts it in, with its note of the attempts that failed. */
function taskOf(exchange: string, id: string, attempts: number | string) {
  const about = { id, type: SendEmailSchema.typeName, source: '/x', subject: '', correlationId: '' }
  const headers = { ...encodeEnvelope({ ...about, time: new Date(), dataVersion: '1' }, 'amqp') }
  const properties = { messageId: id, contentType: protobufType, durable: true }
  return { exchange, ...properties, headers: { ...headers, 'parley-attempts': String(attempts) } }
}

/** What the owner of the queue says of its dead letters, once there are so many. */
async function dead(count: number): Promise<ReadonlyMap<string, Letter>> {
  let letters: readonly Letter[] = []
  await until(async () => {
    letters = ((await app.ask('dead-letters')) as { letters: Letter[] }).letters
    return letters.length >= count
  }, `${count} dead letters`)
  return new Map(letters.map((letter) => [letter.eventId, letter]))
}
type Letter = Readonly<Record<'number' | 'eventId' | 'code' | 'reason', string>> & { readonly attempts: number }

describe('a worker', () => {
  test('does every task once, and tries a failed one again later', async () => {
    await start((emailId, attempt) => {
      if (emailId === 'shaky' && attempt < 3) throw new Error('not now')
    })
    await Promise.all([ask('one'), ask('two'), ask('shaky'), ask('one again', 'one')])
    await until(async () => (await effects()).length === 3, 'three effects')
    await sleep(100)
    expect((await effects()).map((row) => `${row.event_id} ${row.attempt}`).sort()).toEqual([
      'one 1',
      'shaky 3',
      'two 1',
    ])
  })

  test('remembers also a task of which nothing else is written', async () => {
    await start(() => undefined)
    await running?.close()
    const done: string[] = []
    const prepare = async ({ emailId }: { emailId: string }) => void done.push(emailId)
    running = await startMessaging(app, {
      database,
      workers: [worker(notifications, emails, database, { SendEmail: { prepare } })],
    })
    await ask('first', 'same')
    await until(() => done.length === 1, 'the first')
    await ask('again', 'same')
    await ask('last')
    await until(() => done.includes('last'), 'the last')
    await sleep(100)
    expect(done).toEqual(['first', 'last'])
  })

  test('gives a hopeless task up with its reason, and a foreign message at once', async () => {
    await start(() => {
      throw new RangeError('no such mailbox')
    })
    await ask('hopeless')
    await put({ exchange: emails.name, messageId: 'foreign', contentType: 'application/json', durable: true }, { a: 1 })
    const letters = await dead(2)
    expect(letters.get('hopeless')).toMatchObject({
      code: 'ATTEMPTS_USED_UP',
      reason: 'no such mailbox',
      exception: 'RangeError',
      attempts: 3,
      destination: 'emails',
      type: SendEmailSchema.typeName,
    })
    const number = letters.get('hopeless')?.number ?? ''
    expect(await app.ask('dead-letters', { path: [number] })).toMatchObject({ message: { emailId: 'hopeless' } })
    expect(letters.get('foreign')?.code).toMatch(/^ENVELOPE_/)
    expect(await effects()).toEqual([])
  })

  test('gives each of two up whose ids AMQP would cut off to the same', async () => {
    await start(() => undefined)
    const long = randomBytes(3_000).toString('base64')
    for (const end of ['a', 'b']) {
      const headers = { 'cloudEvents:id': long + end, 'cloudEvents:specversion': '1.0' }
      await put({ exchange: emails.name, durable: true, headers }, Buffer.from(end))
    }
    expect([...(await dead(2)).values()].map(({ code }) => code)).toEqual([
      'ENVELOPE_CONTENT_TYPE_UNKNOWN',
      'ENVELOPE_CONTENT_TYPE_UNKNOWN',
    ])
  })

  test('a sender cannot give a task more attempts than the queue', async () => {
    await start(() => {
      throw new Error('no')
    })
    for (const attempts of ['-1000', 'many']) await put(taskOf(emails.name, attempts, attempts))
    const letters = await dead(2)
    expect(letters.get('-1000')).toMatchObject({ code: 'ATTEMPTS_USED_UP', attempts: 3 })
    expect(letters.get('many')).toMatchObject({ code: 'ATTEMPTS_USED_UP', attempts: 3 })
  })

  test('a task that failed once comes back at once, though one that failed often waits long', async () => {
    const own = service('notifications', { owns: [postgres()], edges: [works(reminders)] })
    const seen: string[] = []
    const SendEmail = async (_task: object, _tx: object, { id, attempt }: Meta) => {
      seen.push(`${id} ${attempt}`)
      if (attempt !== 2) throw new Error('not now')
    }
    running = await startMessaging(testApp(own, { rabbitmq: rabbitmq.configuration, postgres: at }), {
      database,
      workers: [worker(own, reminders, database, { SendEmail })],
    })
    await put(taskOf(reminders.name, 'often', 7))
    await until(() => seen.includes('often 8'), 'it waits for its last attempt')
    await sleep(50)
    const beganMs = performance.now()
    await put(taskOf(reminders.name, 'once', 0))
    await until(() => seen.includes('once 2'), 'it is tried again')
    expect(performance.now() - beganMs).toBeLessThan(1_000)
    expect(seen).toEqual(['often 8', 'once 1', 'once 2'])
  })

  test('a task that was given up has one effect, though it is replayed twice at once and lies in the queue twice', async () => {
    let broken = true
    await start(async () => {
      if (broken) throw new Error('no')
      await sleep(20)
    })
    await ask('given up')
    const number = (await dead(1)).get('given up')?.number ?? ''
    broken = false
    const replay = () => app.ask('dead-letters', { verb: 'POST', path: [number, 'replay'] })
    await Promise.allSettled([replay(), replay(), ask('given up')])
    await until(async () => (await effects()).length > 0, 'an effect')
    await sleep(200)
    expect((await effects()).map((row) => row.event_id)).toEqual(['given up'])
  })

  test('of a work that is asked for again and again under new ids, one letter is kept: the newest', async () => {
    let broken = 'at first'
    await start((_emailId, attempt) => {
      if (broken !== '') throw new Error(`${broken} ${attempt}`)
    })
    const again = (id: string, work: string) =>
      database.transaction(async (tx) => send(tx, SendEmailSchema, { emailId: id }, { id, work }))
    await again('first', 'undo/a')
    const number = (await dead(1)).get('undo/a')?.number ?? ''
    broken = 'and still'
    await again('second', 'undo/a')
    await again('other', 'undo/b')
    await until(async () => (await dead(2)).get('undo/a')?.attempts === 6, 'both have died for it')
    expect((await dead(2)).get('undo/a')).toMatchObject({ number, code: 'ATTEMPTS_USED_UP', reason: 'and still 3' })
    expect([...(await dead(2)).keys()]).toEqual(['undo/a', 'undo/b'])
    broken = ''
    await app.ask('dead-letters', { verb: 'POST', path: [number, 'replay'] })
    expect((await effects()).map((row) => row.event_id)).toEqual(['second'])
    expect([...(await dead(1)).keys()]).toEqual(['undo/b'])
  })

  test('what the broker itself gave up is kept, with its reason', async () => {
    await start(() => undefined)
    await running?.close()
    await put({ exchange: emails.name, messageId: 'killer', durable: true }, 'kills whoever takes it')
    const connection = connect()
    for (let delivery = 1; delivery <= 3; delivery += 1) {
      const channel = await connection.acquire()
      await until(async () => (await channel.basicGet({ queue: emails.name })) !== undefined, `delivery ${delivery}`)
      await channel.close()
    }
    await connection.close()
    await start(() => undefined)
    expect((await dead(1)).get('killer')).toMatchObject({
      code: 'ATTEMPTS_USED_UP',
      reason: expect.stringContaining('delivery_limit'),
    })
  })

  test('two workers share a backlog about evenly: none hoards more than its prefetch', async () => {
    const done: Record<string, number> = {}
    const by = (name: string) => async () => {
      done[name] = (done[name] ?? 0) + 1
      await sleep(5)
    }
    await start(by('first'))
    const other = testApp(notifications, { rabbitmq: rabbitmq.configuration, postgres: at })
    const second = await startMessaging(other, { database, workers: [emailWorker(by('second'))] })
    await until(async () => Object.keys(await other.notReady()).length === 0, 'the second is there')
    await database.transaction(async (tx) => {
      for (let index = 0; index < 200; index += 1)
        send(tx, SendEmailSchema, { emailId: `${index}` }, { id: `b${index}` })
    })
    await until(async () => (await effects()).length === 200, 'all done')
    await second.close()
    expect((done.first ?? 0) + (done.second ?? 0)).toBe(200)
    expect(Math.min(done.first ?? 0, done.second ?? 0)).toBeGreaterThanOrEqual(70)
  })

  test('loses nothing over a crash of the broker, and repeats nothing', async () => {
    await start(() => sleep(2))
    const ids = Array.from({ length: 300 }, (_, index) => `task-${index}`)
    const asked = (async () => {
      for (const id of ids) {
        await ask(id)
        await sleep(1)
      }
    })()
    await until(async () => (await effects()).length > 50, 'under way')
    await rabbitmq.crash()
    await asked
    await rabbitmq.start()
    await until(async () => (await effects()).length >= 300, 'all done')
    await sleep(300)
    expect((await effects()).map((row) => row.event_id).sort()).toEqual([...ids].sort())
  })

  test('a Kafka that is away does not hold up the tasks', async () => {
    const both = service('notifications', {
      owns: [postgres()],
      publishes: [orderEvents],
      edges: [...notifications.spec.edges.filter((edge) => edge.kind === 'sends'), works(emails)],
    })
    await database.query(statement('truncate effect, kit.inbox, kit.outbox'))
    const app = testApp(both, { rabbitmq: rabbitmq.configuration, postgres: at, kafka: kafkaThatIsAway() })
    const done: string[] = []
    const workers = [
      worker(both, emails, database, {
        SendEmail: async ({ emailId }) => void done.push(emailId),
      }),
    ]
    running = await startMessaging(app, { database, workers })
    await database.transaction(async (tx) => {
      publisher(orders, orderEvents)(tx, OrderPlacedSchema, { orderId: 'stays' }, { id: 'stays' })
      send(tx, SendEmailSchema, { emailId: 'goes' }, { id: 'goes' })
    })
    await until(() => done.length === 1, 'the task done')
    expect(done).toEqual(['goes'])
    const waiting = async () => database.query<{ event_id: string }>(statement('select event_id from kit.outbox'))
    await until(async () => (await waiting()).length === 1, 'the task’s row deleted')
    expect(await waiting()).toEqual([{ event_id: 'stays' }])
  })
})

function kafkaThatIsAway() {
  const file = rabbitmq.configuration.tls.authorityFile
  return {
    brokers: ['127.88.255.254:9'],
    client: 'kafkajs',
    tls: { authorityFile: file, certFile: file, keyFile: file.replace('cert.pem', 'key.pem') },
  } as const
}
