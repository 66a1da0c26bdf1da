import { join } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { calls } from '#graph/call.ts'
import { service } from '#graph/service.ts'
import { socketFolder, testApp } from '#kit/app/app-fixture.ts'
import { restClient } from '#kit/http/client.ts'
import { type Database, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { catalogApi } from '#mesh/shop/interfaces.ts'
import { catalog } from '#mesh/shop.ts'
import { ProductPutSchema } from '#proto/parley/catalog/v1/events_pb.ts'
import { productsOperation } from './operation.ts'
import { catalogServer } from './server.ts'
import type { CatalogTables } from './store.ts'

const reader = service('reader', {
  edges: [calls(catalogApi, ['listProducts', 'getProduct', 'putProduct'], { deadlineMs: 10_000 })],
})
const sockets = socketFolder()
const address = sockets.at('catalog')
const products = restClient(testApp(reader, { calls: { 'catalog-api': { callee: 'catalog', address } } }), catalogApi)

let server: PostgresFixture
let database: Database<CatalogTables>
let app: ReturnType<typeof testApp<typeof catalog>>

beforeAll(async () => {
  server = await startPostgres()
  app = testApp(catalog, { listen: address, postgres: server.create('catalog') })
  database = await app.add('database', openDatabase<CatalogTables>(app))
  await migrate(database, join(import.meta.dirname, 'migrations'))
  app.operate('products', productsOperation(database))
  await app.add('rest', catalogServer(app, database))
}, 60_000)
afterAll(async () => {
  await app?.stop()
  sockets.remove()
  await server?.stop()
})

const show = (id: string, headers = {}) => products.getProduct({ params: { id }, headers })
const put = (id: string, headers: Record<string, string>, changed: object = {}) => {
  const body = { name: 'Kite', description: 'Flies.', price: { currency: 'EUR', minorUnits: 1_999 }, ...changed }
  return products.putProduct({ params: { id }, headers, body })
}
const list = async (query: Record<string, string>) => (await products.listProducts({ query })).body as Page
type Page = { products: { productId: string; price: object }[]; next?: string }
const idsOf = ({ products }: Page) => products.map(({ productId }) => productId)

const told = async (productId: string) => {
  const text = 'select payload from kit.outbox where key = $1 order by id'
  const rows = await database.query<{ payload: Buffer }>(statement(text), [productId])
  return rows.map(({ payload }) => fromBinary(ProductPutSchema, payload))
}

describe('reading', () => {
  test('an answer says how long it is good, and is sent once only', async () => {
    const first = await show('p-1')
    expect(first).toMatchObject({
      status: 200,
      headers: { etag: '"a1"', 'cache-control': expect.stringMatching(/^public, max-age=\d+, stale-/) },
      body: { productId: 'p-1', price: { currency: 'EUR', minorUnits: 749 }, revision: 1 },
    })
    const again = await show('p-1', { 'if-none-match': `"other", W/${first.headers.etag}` })
    expect(again).toMatchObject({ status: 304, headers: { etag: '"a1"' }, body: undefined })
    expect(again.headers['cache-control']).toBe(first.headers['cache-control'])
    expect((await show('p-1', { 'if-none-match': '"a2"' })).status).toBe(200)
  })

  test('a list has a tag that changes with any product in it, and with no other', async () => {
    const tag = async (ids: string) => (await products.listProducts({ query: { ids } })).headers.etag
    const [some, other] = [await tag('p-2,p-3'), await tag('p-4')]
    expect((await put('p-3', { 'if-match': '"a1"' })).status).toBe(200)
    expect(await tag('p-2,p-3')).not.toBe(some)
    expect(await tag('p-4')).toBe(other)
  })

  test('by ids: those that exist, each once; page by page: all of them', async () => {
    expect(idsOf(await list({ ids: 'p-5,nobody,p-4,p-5' }))).toEqual(['p-4', 'p-5'])
    const first = await list({ limit: '4' })
    const second = await list({ limit: '100', after: first.next ?? '' })
    expect([...idsOf(first), ...idsOf(second)].slice(0, 9)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `p-${n}`))
    expect(second.next).toBeUndefined()
  })

  test.each([
    ['too many ids', 'ids', Array.from({ length: 101 }, (_, n) => `p-${n}`).join(',')],
    ['an empty id', 'ids', 'p-1,,p-2'],
    ['too large a page', 'limit', '101'],
  ])('%s is refused', async (_what, name, value) => {
    const { status, body } = await products.listProducts({ query: { [name]: value } })
    expect([status, body]).toEqual([400, expect.objectContaining({ code: 'invalid-argument' })])
  })
})

describe('writing', () => {
  const refusal = ({ status, body }: { status: number; body: unknown }) => [status, (body as { code: string }).code]

  test('needs what the writer has seen', async () => {
    expect(refusal(await put('p-6', {}))).toEqual([428, 'precondition-required'])
    for (const precondition of [{ 'if-match': '"a7"' }, { 'if-match': 'W/"a1"' }, { 'if-none-match': '*' }])
      expect(refusal(await put('p-6', precondition))).toEqual([412, 'precondition-failed'])
    expect(refusal(await put('p-6', { 'if-match': 'a1' }))).toEqual([400, 'invalid-argument'])
    expect(await put('p-6', { 'if-match': '"a1"' })).toMatchObject({ status: 200, headers: { etag: '"a2"' } })
    expect(await show('p-6')).toMatchObject({ headers: { etag: '"a2"' }, body: { name: 'Kite', revision: 2 } })
  })

  test('makes a product, once', async () => {
    expect(refusal(await put('kite', { 'if-match': '*' }))).toEqual([412, 'precondition-failed'])
    const made = await Promise.all([1, 2, 3].map((n) => put('kite', { 'if-none-match': '*' }, { name: `Kite ${n}` })))
    expect(made.map(({ status }) => status).sort()).toEqual([201, 412, 412])
  })

  test('of one revision one of many writers wins, and its repeat is told so', async () => {
    const write = (n: number) => put('p-7', { 'if-match': '"a1"' }, { name: `Kite ${n}` })
    const answers = await Promise.all([1, 2, 3, 4, 5].map(write))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412, 412])
    const winner = answers.findIndex(({ status }) => status === 200) + 1
    expect(await write(winner)).toMatchObject({ status: 200, headers: { etag: '"a2"' }, body: { revision: 2 } })
    expect(await told('p-7')).toMatchObject([
      { name: `Kite ${winner}`, price: { currency: 'EUR', minorUnits: 1_999n }, revision: 2n },
    ])
  })

  test('by an operator changes a price that they have seen', async () => {
    const reprice = (body: object) => app.ask('products', { verb: 'POST', path: ['p-9', 'price'], body: { ...body } })
    const { product } = (await app.ask('products', { path: ['p-9'] })) as { product: { revision: number } }
    await expect(reprice({ minorUnits: 999, revision: product.revision + 1 })).rejects.toMatchObject({
      code: 'conflict',
    })
    for (const minorUnits of [0, 9.99, 'much'])
      await expect(reprice({ minorUnits, revision: 1 })).rejects.toMatchObject({ code: 'invalid-argument' })
    await reprice({ minorUnits: 999, revision: product.revision })
    expect(await show('p-9')).toMatchObject({ headers: { etag: '"a2"' }, body: { price: { minorUnits: 999 } } })
    expect(await told('p-9')).toMatchObject([{ name: 'Calligraphy set', price: { minorUnits: 999n }, revision: 2n }])
    await expect(app.ask('products', { path: ['nothing'] })).rejects.toMatchObject({ code: 'not-found' })
  })

  test('refuses what is no product', async () => {
    const wrong = await put('p-8', { 'if-match': '*' }, { price: { currency: 'EUR', minorUnits: 19.99 } })
    expect(wrong).toMatchObject({ status: 400, body: { errors: [{ field: 'price.minorUnits' }] } })
    expect((await put('-8', { 'if-none-match': '*' })).status).toBe(400)
    expect((await put('p-8', { 'if-match': '*' }, { name: 'a\0b' })).status).toBe(400)
    for (const id of ['nothing', 'a\0b', "' or 1=1"]) expect((await show(id)).status).toBe(404)
  })
})
