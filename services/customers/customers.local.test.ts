import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '#kit/app/app-fixture.ts'
import { restClient } from '#kit/http/client.ts'
import { type Database, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { customersApi } from '#mesh/shop/interfaces.ts'
import { customers } from '#mesh/shop.ts'
import { CustomerRegisteredSchema } from '#proto/parley/customers/v1/events_pb.ts'
import { forgetRequests } from './handlers.ts'
import { customersServer } from './server.ts'
import type { CustomersTables } from './store.ts'

const visitor = service('visitor', {
  edges: [calls(customersApi, ['registerCustomer', 'getCustomer'], { deadlineMs: 10_000 })],
})
const sockets = socketFolder()
const address = sockets.at('customers')
const calling = testApp(visitor, { calls: { 'customers-api': { callee: 'customers', address } } })
const client = restClient(calling, customersApi)

let server: PostgresFixture
let app: ReturnType<typeof testApp<typeof customers>>
let database: Database<CustomersTables>

beforeAll(async () => {
  server = await startPostgres()
  app = testApp(customers, { listen: address, postgres: server.create('customers') })
  database = await app.add('database', openDatabase<CustomersTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  await app.add('rest', customersServer(app, database))
}, 60_000)
afterAll(async () => {
  await app?.stop()
  sockets.remove()
  await server?.stop()
})

const register = (emailAddress: string, key: string = randomUUID(), name = 'Ann') =>
  client.registerCustomer({ body: { name, emailAddress }, headers: { 'idempotency-key': key } })
const idOf = ({ body }: { body: unknown }) => (body as { customerId: string }).customerId
const eventsFor = async (emailAddress: string) => {
  const rows = await database.query<{ payload: Buffer }>(statement('select payload from kit.outbox order by id'))
  const events = rows.map(({ payload }) => fromBinary(CustomerRegisteredSchema, payload))
  return events.filter((event) => event.emailAddress === emailAddress)
}

test('whoever registers can be looked up, and everybody is told', async () => {
  const answer = await register('ann@mail.example')
  expect(answer).toMatchObject({
    status: 201,
    headers: { location: `/api/v1/customers/${idOf(answer)}`, etag: expect.any(String) },
    body: { name: 'Ann', emailAddress: 'ann@mail.example' },
  })
  const params = { id: idOf(answer) }
  expect(await client.getCustomer({ params })).toMatchObject({
    status: 200,
    headers: { 'cache-control': 'private, no-cache' },
    body: answer.body,
  })
  const headers = { 'if-none-match': String(answer.headers.etag) }
  expect((await client.getCustomer({ params, headers })).status).toBe(304)
  expect(await eventsFor('ann@mail.example')).toMatchObject([{ customerId: idOf(answer), name: 'Ann' }])
  for (const id of ['nobody', 'a\0b', randomUUID()])
    expect((await client.getCustomer({ params: { id } })).status).toBe(404)
})

test('a request that is repeated, also at once, registers once; its key stands for nothing else', async () => {
  const key = randomUUID()
  const answers = await Promise.all([1, 2, 3, 4, 5].map(() => register('bob@mail.example', key)))
  expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201])
  expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
  expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(4)
  expect(await register('carl@mail.example', key)).toMatchObject({
    status: 422,
    body: { code: 'idempotency-key-reused' },
  })
  expect(await eventsFor('bob@mail.example')).toHaveLength(1)
  expect(await eventsFor('carl@mail.example')).toEqual([])
})

test('an address is registered once, however it is spelt, and the refusal tells nothing about its owner', async () => {
  const answers = await Promise.all(
    ['dora@mail.example', 'Dora@Mail.Example', 'DORA@mail.example'].map((each) => register(each, randomUUID(), 'Dora')),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409])
  const refusal = answers.find(({ status }) => status === 409)
  expect(refusal?.body).toMatchObject({
    code: 'failed-precondition',
    errors: [{ field: 'emailAddress', code: 'not-available' }],
  })
  const owner = idOf(answers.find(({ status }) => status === 201) ?? { body: {} })
  expect(JSON.stringify(refusal?.body)).not.toMatch(new RegExp(`${owner}|Dora`, 'i'))
})

test('a key that was refused is free for what is right', async () => {
  const key = randomUUID()
  expect((await register('ann@mail.example', key)).status).toBe(409)
  expect((await register('no address', key)).status).toBe(400)
  expect((await register('emil@mail.example', key)).status).toBe(201)
})

test('without a key nobody is registered', async () => {
  const answer = await client.registerCustomer({ body: { name: 'Eve', emailAddress: 'eve@mail.example' } })
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: 'header:idempotency-key' }] } })
})

test('keys are forgotten after a day, customers are not', async () => {
  const key = randomUUID()
  const { headers } = await register('finn@mail.example', key)
  // More than at a time.
  await database.query(
    statement(`insert into idempotency (key, request_hash, customer_id, created_at)
      select 'old ' || number, '', customer_id, created_at from idempotency, generate_series(1, 1200) as number where key = $1`),
    [key],
  )
  await forgetRequests(database, new Date(Date.now() + 25 * 3_600_000))
  expect(await database.query(statement('select from idempotency'))).toEqual([])
  expect((await register('finn@mail.example', key)).status).toBe(409)
  const id = String(headers.location).split('/').at(-1) ?? ''
  expect((await client.getCustomer({ params: { id } })).status).toBe(200)
})
