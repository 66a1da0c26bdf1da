import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { testApp } from '#kit/app/app-fixture.ts'
import { type Database, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { silentLog } from '#kit/telemetry/log.ts'
import { orders } from '#mesh/shop.ts'
import { MoneySchema } from '#proto/parley/money/v1/money_pb.ts'
import { Fulfilment, StockCheck } from '#proto/parley/orders/v1/orders_pb.ts'
import { cancelOverdue } from './handlers.ts'
import { type OrdersTables, overdueOrders, placeOrder } from './store.ts'

let server: PostgresFixture
let database: Database<OrdersTables>

beforeAll(async () => {
  server = await startPostgres()
  database = openDatabase(testApp(orders, { postgres: server.create('orders') }))
  await migrate(database, join(import.meta.dirname, 'migrations'))
}, 60_000)
afterAll(async () => {
  await database?.close()
  await server?.stop()
})

const app = { log: silentLog, stopping: new AbortController().signal }

function place(orderId: string) {
  const total = create(MoneySchema, { currency: 'EUR', minorUnits: 1n })
  const rest = { customerId: 'c-1', items: [], total, paymentMethod: 'card' }
  const how = { stockCheck: StockCheck.UNKNOWN, fulfilment: Fulfilment.CHOREOGRAPHED }
  return placeOrder(database, { kind: 'place', orderId, ...rest, ...how }, () => undefined)
}

test('every order that took too long is cancelled in one turn, whatever keeps others from being', async () => {
  // The oldest have an event that this version cannot read.
  const unreadable = Array.from({ length: 150 }, () => randomUUID())
  for (const orderId of unreadable) await place(orderId)
  await database.query(statement(`update kit.events set type = 'parley.orders.v9.OrderPlaced'`))
  for (let number = 0; number < 250; number += 1) await place(randomUUID())
  await cancelOverdue(database, new Date(Date.now() + 60_000), 45_000, app)
  const left = await overdueOrders(database.db, new Date(Date.now() + 60_000), undefined, 1_000)
  expect(left.map(({ order_id }) => order_id).sort()).toEqual(unreadable.sort())
}, 60_000)
