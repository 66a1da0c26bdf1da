/**
 * A queue, as services use it: a task from the commit that sends it to its handler, and a question from asking to its answer.
 * Everything is durable: outbox and inbox in Postgres with fsync, a quorum queue on one RabbitMQ node over TLS, confirms both ways. Batch size 1.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { asks, type QueueNode, queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { answerer } from '#kit/messaging/answerer.ts'
import { openAsker } from '#kit/messaging/asker.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { sender } from '#kit/messaging/publisher.ts'
import { type RabbitmqFixture, startRabbitmq } from '#kit/messaging/rabbitmq-fixture.ts'
import { worker } from '#kit/messaging/worker.ts'
import { openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { QuoteRequestSchema, QuoteSchema } from '#proto/parley/shipping/v1/quotes_pb.ts'
import { openLoop, quantile } from '../load.ts'
import { type Line, print } from '../report.ts'

const perSecond = 50
const seconds = 10
const burst = 2_000
const durability = 'batch 1; Postgres fsync, quorum queue, confirms'

const emails = queue('emails', { carries: [SendEmailSchema] })
const quotes = queue('quotes', { carries: [QuoteRequestSchema], replies: QuoteSchema })
// The names are those of the fixture's two users.
const mailing = service('notifications', {
  owns: [postgres()],
  edges: [sends(emails), works(emails, { prefetch: 20 })],
})
const quoting = service('notifications', { owns: [postgres()], edges: [works(quotes, { prefetch: 20 })] })
const planning = service('planning', { edges: [asks(quotes, { deadlineMs: 5_000, inFlightMax: 200 })] })

async function main(): Promise<void> {
  const server = await startPostgres()
  try {
    const load = `${perSecond}/s for ${seconds} s after 2 s of the same`
    const tasks = await onBroker(emails, (rabbitmq) => measureTasks(server, rabbitmq))
    print(`5 · Message queue: tasks, ${load}`, tasks)
    const questions = await onBroker(quotes, (rabbitmq) => measureQuestions(server, rabbitmq))
    print(`6 · Request–reply over a queue: questions, ${load}`, questions)
  } finally {
    await server.stop()
  }
}

async function onBroker(queue: QueueNode, measure: (rabbitmq: RabbitmqFixture) => Promise<Line[]>): Promise<Line[]> {
  const rabbitmq = await startRabbitmq(queue)
  try {
    return await measure(rabbitmq)
  } finally {
    await rabbitmq.stop()
  }
}

async function measureTasks(server: PostgresFixture, rabbitmq: RabbitmqFixture): Promise<Line[]> {
  const app = testApp(mailing, { postgres: server.create('tasks'), rabbitmq: rabbitmq.configuration })
  const database = openDatabase(app)
  await migrate(database)
  const handled = new Map<string, () => void>()
  const SendEmail = async ({ emailId }: { emailId: string }) => handled.get(emailId)?.()
  const workers = [worker(mailing, emails, database, { SendEmail })]
  const messaging = await startMessaging(app, { database, workers })
  await ready(app)
  const send = sender(mailing, emails)
  let next = 0
  const task = async () => {
    next += 1
    const emailId = String(next)
    const { promise, resolve } = Promise.withResolvers<void>()
    handled.set(emailId, resolve)
    await database.transaction(async (tx) => send(tx, SendEmailSchema, { emailId }))
    return promise
  }
  await openLoop({ perSecond, seconds: 2, call: task })
  const { latenciesMs } = await openLoop({ perSecond, seconds, call: task })
  const beganMs = performance.now()
  await Promise.all(Array.from({ length: burst }, task))
  const rate = (burst * 1_000) / (performance.now() - beganMs)
  await messaging.close()
  await database.close()
  return [
    {
      what: 'task sent → handled, p50',
      measured: quantile(latenciesMs, 0.5),
      unit: 'ms',
      target: 5,
      claimed: '5–50 ms',
      note: durability,
    },
    { what: 'task sent → handled, p99', measured: quantile(latenciesMs, 0.99), unit: 'ms' },
    { what: `${burst} tasks at once, one worker of prefetch 20`, measured: rate, unit: 'tasks/s', claimed: 'high' },
  ]
}

async function measureQuestions(server: PostgresFixture, rabbitmq: RabbitmqFixture): Promise<Line[]> {
  const app = testApp(quoting, { postgres: server.create('questions'), rabbitmq: rabbitmq.configuration })
  const database = openDatabase(app)
  await migrate(database)
  const QuoteRequest = { prepare: async ({ country }: { country: string }) => ({ country }) }
  const workers = [answerer(quoting, quotes, database, { QuoteRequest })]
  const messaging = await startMessaging(app, { database, workers })
  await ready(app)
  const asker = openAsker(testApp(planning, { rabbitmq: rabbitmq.asking }), quotes)
  const call = () => asker.ask(QuoteRequestSchema, { country: 'DE' })
  await openLoop({ perSecond, seconds: 2, call })
  const { latenciesMs, failures } = await openLoop({ perSecond, seconds, call })
  if (failures.length > 0) throw new Error(`${failures.length} questions had no answer: ${failures[0]}`)
  await asker.close()
  await messaging.close()
  await database.close()
  return [
    {
      what: 'asked → answered, p50',
      measured: quantile(latenciesMs, 0.5),
      unit: 'ms',
      target: 5,
      claimed: '–',
      note: durability,
    },
    { what: 'asked → answered, p99', measured: quantile(latenciesMs, 0.99), unit: 'ms' },
  ]
}

async function ready(app: { notReady(): Promise<object> }): Promise<void> {
  while (Object.keys(await app.notReady()).length > 0) await sleep(20)
}

await main()
