import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { testApp } from '#kit/app/app-fixture.ts'
import { ServiceError } from '#kit/errors.ts'
import { type Database, openDatabase } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { orders } from '#mesh/shop.ts'
import { ProductPutSchema } from '#proto/parley/catalog/v1/events_pb.ts'
import { CreateOrderRequestSchema } from '#proto/parley/orders/v1/orders_pb.ts'
import { productNews } from './handlers.ts'
import { type AskStock, place } from './place.ts'
import { type OrdersTables, readPrices } from './store.ts'

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

const hear = (productId: string, revision: bigint, minorUnits: bigint) => {
  const event = create(ProductPutSchema, { productId, price: { currency: 'EUR', minorUnits }, revision })
  return database.transaction((tx) => productNews.ProductPut(event, tx))
}
const priceOf = async (productId: string) => (await readPrices(database.db, [productId])).get(productId)?.minorUnits

test('orders take the newest price that the catalogue told, whichever event comes last', async () => {
  expect(await priceOf('p-1')).toBe(749n)
  await hear('p-1', 3n, 899n)
  await hear('p-1', 2n, 799n)
  expect(await priceOf('p-1')).toBe(899n)
  await hear('kite', 1n, 1_999n)
  expect(await priceOf('kite')).toBe(1_999n)
})

test('a repeat gets its order, whatever inventory says meanwhile and however long it takes', async () => {
  const lines = [{ productId: 'p-2', quantity: 1 }]
  const request = create(CreateOrderRequestSchema, { customerId: 'c-1', idempotencyKey: 'k-1', lines })
  const ask = (askStock: AskStock) => place(request, database, askStock)
  const { order } = await ask(async () => [])
  const fails = () => Promise.reject(new ServiceError('internal', 'The stock cannot be read.'))
  expect(await ask(fails)).toMatchObject({ replayed: true, order: { orderId: order.orderId } })
  const hangs = () => new Promise<never>(() => undefined)
  expect(await ask(hangs)).toMatchObject({ replayed: true, order: { orderId: order.orderId } })
})
