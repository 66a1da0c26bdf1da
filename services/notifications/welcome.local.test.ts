import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { testApp } from '#kit/app/app-fixture.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { deliverTo } from '#kit/messaging/delivery.ts'
import { encodeEnvelope } from '#kit/messaging/envelope.ts'
import { type Database, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { silentLog } from '#kit/telemetry/log.ts'
import { customerEvents } from '#mesh/shop/messages.ts'
import { notifications } from '#mesh/shop.ts'
import { CustomerRegisteredSchema } from '#proto/parley/customers/v1/events_pb.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import type { Email } from './email.ts'
import { customerNews, deliver } from './handlers.ts'
import { type NotificationsTables, readAddress } from './store.ts'

let server: PostgresFixture
let database: Database<NotificationsTables>

beforeAll(async () => {
  server = await startPostgres()
  database = openDatabase(testApp(notifications, { postgres: server.create('notifications') }))
  await migrate(database, join(import.meta.dirname, 'migrations'))
}, 60_000)
afterAll(async () => {
  await database?.close()
  await server?.stop()
})

/** The event as the broker would hand it over. */
function registered(id: string, offset: bigint, customer: { customerId: string; name: string; emailAddress: string }) {
  const envelope = { id, type: CustomerRegisteredSchema.typeName, source: '/services/customers', time: new Date() }
  const headers = encodeEnvelope(
    { ...envelope, subject: customer.customerId, correlationId: '', dataVersion: '1' },
    'kafka',
  )
  const value = Buffer.from(toBinary(CustomerRegisteredSchema, create(CustomerRegisteredSchema, customer)))
  return { offset, key: customer.customerId, value, headers, timestampMs: Date.now() }
}

async function consume(records: readonly ReturnType<typeof registered>[]): Promise<void> {
  const consumers = new Map([['customers', consumer(notifications, customerEvents, database, customerNews)]])
  const handle = deliverTo({ group: 'notifications', consumers, database, log: silentLog })
  const batch = { topic: 'customers', partition: 0, records, highWatermark: BigInt(records.length) }
  const [signal, ignored] = [new AbortController().signal, () => undefined]
  await handle(batch, { signal, attempt: 1, done: ignored, postpone: ignored })
}

const ann = { customerId: 'c-ann', name: 'Ann', emailAddress: 'Ann@mail.example' }

test('whoever registers is welcomed once though the event comes twice, and is written to at that address', async () => {
  await consume([registered('e-1', 0n, ann), registered('e-1', 1n, ann)])
  await consume([registered('e-1', 2n, ann)])
  const rows = await database.query<{ event_id: string; payload: Buffer }>(
    statement('select event_id, payload from kit.outbox'),
  )
  expect(rows.map(({ event_id }) => event_id)).toEqual(['c-ann.customer-welcome'])
  const task = fromBinary(SendEmailSchema, rows[0]?.payload ?? Buffer.alloc(0))
  const sent: Email[] = []
  const mailer = { send: async (email: Email) => void sent.push(email), close: async () => undefined }
  const addressOf = (customerId: string) => readAddress(database.db, customerId)
  await deliver(task, mailer, addressOf)
  const order = { template: 'order-shipped', orderId: 'o-1', parameters: { trackingNumber: 'PLY1' } }
  for (const customerId of ['c-ann', 'c-guest'])
    await deliver(create(SendEmailSchema, { ...order, customerId }), mailer, addressOf)
  expect(sent.map(({ to, subject }) => [to, subject])).toEqual([
    ['Ann@mail.example', 'Welcome to the shop'],
    ['Ann@mail.example', 'Your order o-1 is on its way'],
    ['c-guest@customers.example', 'Your order o-1 is on its way'],
  ])
})
