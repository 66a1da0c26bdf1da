import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { Connection } from 'rabbitmq-client'
import { deadLetterQueue } from '#graph/names.ts'
import { works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import type { PostgresConfiguration } from '../app/configuration.ts'
import { type Database, openDatabase, statement } from '../store/database.ts'
import { migrate } from '../store/migrations.ts'
import { type PostgresFixture, startPostgres } from '../store/postgres-fixture.ts'
import { type Messaging, startMessaging } from './messaging.ts'
import { type EffectTables, effectTable, emails, notifications, orderEvents, orders } from './messaging-fixture.ts'
import { publisher, sender } from './publisher.ts'
import { type RabbitmqFixture, startRabbitmq } from './rabbitmq-fixture.ts'
import { until } from './until-fixture.ts'
import { worker } from './worker.ts'

jest.setTimeout(60_000)

type Handle = (emailId: string, attempt: number) => Promise<void> | void
type Dead = { readonly id: string; readonly headers: Record<string, unknown>; readonly body: unknown }

const send = sender(notifications, emails)
let server: PostgresFixture
let rabbitmq: RabbitmqFixture
let at: PostgresConfiguration
let database: Database<EffectTables>
let running: Messaging | undefined

beforeAll(async () => {
  ;[server, rabbitmq] = await Promise.all([startPostgres(), startRabbitmq(emails.name, 3)])
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
  await database.query(statement('truncate effect, kit.inbox, kit.outbox'))
  const app = testApp(notifications, { rabbitmq: rabbitmq.configuration, postgres: at })
  const prepare = async ({ emailId }: { emailId: string }, { id, attempt, correlationId }: Meta) => {
    await handle(emailId, attempt)
    const row = { event_id: id, order_id: emailId, attempt, correlation_id: correlationId }
    return async (tx: { db: Database<EffectTables>['db'] }) =>
      void (await tx.db.insertInto('effect').values(row).execute())
  }
  const workers = [worker(notifications, emails, database, { SendEmail: { prepare } })]
  running = await startMessaging(app, { database, workers })
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

async function takeDead(count: number): Promise<Dead[]> {
  const connection = connect()
  const found: Dead[] = []
  await until(async () => {
    const message = await connection.basicGet({ queue: deadLetterQueue(emails.name), noAck: true })
    if (message) found.push({ id: message.messageId ?? '', headers: message.headers ?? {}, body: message.body })
    return found.length >= count
  }, `${count} dead letters`)
  await connection.close()
  return found
}

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

  test('gives a hopeless task up with its reason, and a foreign message at once', async () => {
    await start(() => {
      throw new RangeError('no such mailbox')
    })
    await ask('hopeless')
    const connection = connect()
    const publisher = connection.createPublisher({ confirm: true })
    await publisher.send(
      { exchange: emails.name, messageId: 'foreign', contentType: 'application/json', durable: true },
      { a: 1 },
    )
    await publisher.close()
    await connection.close()
    const dead = new Map((await takeDead(2)).map((message) => [message.id, message]))
    expect(dead.get('hopeless')?.headers).toMatchObject({
      'dead-letter-code': 'ATTEMPTS_USED_UP',
      'dead-letter-reason': 'no such mailbox',
      'dead-letter-exception': 'RangeError',
      'dead-letter-attempts': '3',
      'dead-letter-origin': 'emails',
      'cloudEvents:type': SendEmailSchema.typeName,
    })
    expect(Buffer.isBuffer(dead.get('hopeless')?.body)).toBe(true)
    expect(dead.get('foreign')?.headers['dead-letter-code']).toMatch(/^ENVELOPE_/)
    expect(await effects()).toEqual([])
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
