import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { testApp } from '#kit/app/app-fixture.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { deliverTo } from '#kit/messaging/delivery.ts'
import { encodeEnvelope } from '#kit/messaging/envelope.ts'
import { type Database, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { silentLog } from '#kit/telemetry/log.ts'
import { orderEvents } from '#mesh/shop/messages.ts'
import { inventory } from '#mesh/shop.ts'
import { CheckStockRequestSchema } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { OrderCancelledSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { checkStock, reactions } from './handlers.ts'
import type { InventoryTables } from './store.ts'

let server: PostgresFixture
let database: Database<InventoryTables>

beforeAll(async () => {
  server = await startPostgres({ settings: ['deadlock_timeout=50ms'] })
  database = openDatabase(testApp(inventory, { postgres: server.create('inventory') }))
  await migrate(database, join(import.meta.dirname, 'migrations'))
}, 60_000)
afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const stock = (lines: ReturnType<typeof linesOf>) => checkStock(create(CheckStockRequestSchema, { lines }), database.db)

/** Lines of eight products, in whatever order. */
const linesOf = (seed: number) =>
  [0, 4, 8].map((step) => ({ productId: `p-${1 + ((seed * 7 + step) % 8)}`, quantity: 1 }))

function recordOf(kind: 'placed' | 'cancelled', orderId: string, offset: number) {
  const schema = kind === 'placed' ? OrderPlacedSchema : OrderCancelledSchema
  const value =
    kind === 'placed'
      ? toBinary(OrderPlacedSchema, create(OrderPlacedSchema, { orderId, items: linesOf(offset) }))
      : toBinary(OrderCancelledSchema, create(OrderCancelledSchema, { orderId }))
  const about = { id: `${kind}-${orderId}`, type: schema.typeName, source: '/services/orders', time: new Date() }
  const headers = encodeEnvelope({ ...about, subject: orderId, correlationId: '', dataVersion: '1' }, 'kafka')
  return { offset: BigInt(offset), key: orderId, value: Buffer.from(value), headers, timestampMs: 0 }
}

test('batches of several partitions set aside and put back at the same time, and none is in the way of another', async () => {
  const consumers = new Map([['orders', consumer(inventory, orderEvents, database, reactions)]])
  const deliver = deliverTo({ group: 'inventory', consumers, database, log: silentLog })
  const { signal } = new AbortController()
  const postponed: unknown[] = []
  const postpone = (_offsets: readonly bigint[], cause: unknown) => void postponed.push(cause)
  const context = { signal, attempt: 1, done: () => undefined, postpone }
  const before = await stock(linesOf(1))
  await Promise.all(
    [0, 1, 2].map(async (partition) => {
      for (const kind of ['placed', 'cancelled'] as const) {
        for (let batch = 0; batch < 4; batch += 1) {
          const offsets = Array.from({ length: 20 }, (_, index) => partition + 3 * (20 * batch + index))
          const records = offsets.map((offset) => recordOf(kind, `o-${offset}`, offset))
          await deliver({ topic: 'orders', partition, records, highWatermark: 0n }, context)
        }
      }
    }),
  )
  expect(postponed).toEqual([])
  const [count] = await database.query<{ deadlocks: bigint }>(
    statement('select deadlocks from pg_stat_database where datname = current_database()'),
  )
  expect(count?.deadlocks).toBe(0n)
  expect(await stock(linesOf(1))).toEqual(before)
}, 60_000)

test('a question about nothing is answered', async () => {
  expect(await stock([])).toEqual({ lines: [] })
})
