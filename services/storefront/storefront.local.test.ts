import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { create } from '@bufbuild/protobuf'
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import pg from 'pg'
import { documentIdOf } from '#kit/graphql/operations.ts'
import { statement } from '#kit/store/database.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { until } from '#kit/until-fixture.ts'
import { CustomerRegisteredSchema } from '#proto/parley/customers/v1/events_pb.ts'
import { command } from '../orders/store.ts'
import { reactions } from './handlers.ts'
import { operations } from './operations.ts'
import { type Backends, startBackends } from './storefront-fixture.ts'

jest.setTimeout(30_000)

let server: PostgresFixture
let shop: Backends

beforeAll(async () => {
  server = await startPostgres()
  shop = await startBackends(server, 'whole')
}, 60_000)
beforeEach(() => {
  shop.asked.length = 0
})
afterAll(async () => {
  await shop?.stop()
  await server?.stop()
})

const idOf = (operation: string) => documentIdOf(operations.find((text) => text.includes(` ${operation}(`)) ?? '')

function send(options: object, body?: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) =>
    request({ socketPath: shop.socketPath, agent: false, ...options }, resolve)
      .on('error', reject)
      .end(body),
  )
}

type Answer = { data?: Record<string, never>; errors?: { path: unknown; extensions: { code: string } }[] }

async function ask(operation: string, variables: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ documentId: idOf(operation), variables })
  const answer = await send({ method: 'POST', path: '/graphql', headers }, body)
  return JSON.parse((await answer.toArray()).join(''))
}

const listen = (variables: object, headers = {}) => {
  const query = new URLSearchParams({ documentId: idOf('OrderUpdates'), variables: JSON.stringify(variables) })
  return send({ path: `/graphql/stream?${query}`, headers: { accept: 'text/event-stream', ...headers } })
}

/** Reads a stream of events until it holds a text. */
async function readUntil(stream: IncomingMessage, wanted: string): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    text += chunk
    if (text.includes(wanted)) return text
  }
  throw new Error(`The stream ended without ${wanted}: ${text}`)
}

const register = (customerId: string, name: string) =>
  shop.database.transaction((tx) =>
    reactions.CustomerRegistered(create(CustomerRegisteredSchema, { customerId, name }), tx),
  )

async function placeTwenty(customer = 'c'): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < 20; index += 1) {
    const products = Array.from({ length: 5 }, (_, line) => `p-${1 + ((index + line) % 9)}`)
    ids.push(await shop.place(`${customer}-${index % 3}`, products))
  }
  await shop.caughtUp()
  return ids
}

/** Asks once more when all is warm, and gives what was read from the databases for it: one entry a statement, by its table. */
async function count(operation: string, variables: object): Promise<{ page: Answer; reads: string[] }> {
  await until(async () => (await ask(operation, variables)).errors === undefined, 'the page is whole')
  shop.asked.length = 0
  const queries = jest.spyOn(pg.Client.prototype, 'query')
  const page = await ask(operation, variables)
  const reads = queries.mock.calls.flatMap(([query]: readonly unknown[]) => {
    const { text = '' } = query as { readonly text?: string }
    return text.match(/\b(?:from "|join )(order_detail|product|customer)\b/)?.[1] ?? []
  })
  queries.mockRestore()
  return { page, reads: reads.toSorted() }
}

describe('a page', () => {
  test('of 20 orders with 5 products each for 3 customers is one call to each source, and one read in each', async () => {
    const ids = await placeTwenty()
    await register('c-0', 'Ada')
    await register('c-0', 'Ada L.')
    const { page, reads } = await count('OrdersPage', { ids })
    expect(page.errors).toBeUndefined()
    expect(page.data?.orders).toHaveLength(20)
    expect(page.data?.orders?.[0]).toMatchObject({
      id: ids[0],
      status: 'PLACED',
      customer: { id: 'c-0', name: 'Ada L.' },
      items: expect.arrayContaining([
        { quantity: 1, product: { name: 'Pencil case', price: { currency: 'EUR', minorUnits: 749 } } },
      ]),
    })
    expect(shop.asked).toEqual(['batchGetOrderDetails', 'listProducts'])
    expect(reads).toEqual(['customer', 'order_detail', 'product'])
  })

  test('of 3 customers with their newest orders is the same', async () => {
    await placeTwenty('d')
    const { page, reads } = await count('CustomersPage', { ids: ['d-0', 'd-1', 'd-2'], orders: 7 })
    const customers = page.data?.customers as unknown as { name: null; orders: { items: object[] }[] }[]
    expect(customers.map(({ name, orders }) => [name, orders.length])).toEqual([
      [null, 7],
      [null, 7],
      [null, 6],
    ])
    expect(shop.asked).toEqual(['listRecentOrders', 'listProducts'])
    expect(reads).toEqual(['customer', 'order_detail', 'product'])
  })

  test('has bounds, and takes nothing that is not listed', async () => {
    const tooMany = await ask('CustomersPage', {
      ids: Array.from({ length: 21 }, (_, index) => `c-${index}`),
      orders: 1,
    })
    expect(errorsOf(tooMany)).toEqual([['customers', 'invalid-argument']])
    const tooLarge = await ask('CustomersPage', { ids: Array.from({ length: 20 }, String), orders: 20 })
    expect(tooLarge.errors?.[0]?.extensions.code).toBe('query-too-costly')
    const body = JSON.stringify({ query: '{ products { id } }' })
    const headers = { 'content-type': 'application/json' }
    const free = await send({ method: 'POST', path: '/graphql', headers }, body)
    expect((await free.toArray()).join('')).toContain('operation-not-listed')
    expect(shop.asked).toEqual([])
  })
})

function errorsOf({ errors = [] }: Answer): [string, string][] {
  return errors.map(({ path, extensions: { code } }) => [(path as string[]).join('.'), code])
}

describe('what happens to an order', () => {
  test('is told live and from a position on; the source ends with its reader', async () => {
    const id = await shop.place('c-1', ['p-1'])
    const live = await listen({ id })
    expect(await readUntil(live, 'PLACED')).toMatch(/id: \S+\nevent: next\ndata: {"data":{"orderUpdates":{"position"/)
    await command(shop.ordersDatabase, id, { kind: 'confirm' })
    const confirmed = await readUntil(live, 'CONFIRMED')
    const position = confirmed.match(/^id: (\S+)$/m)?.[1] ?? ''
    expect(shop.followers()).toBe(1)
    live.destroy()
    await until(() => shop.followers() === 0, 'nobody follows the events')
    await command(shop.ordersDatabase, id, { kind: 'ship', trackingNumber: 't-1' })
    const first = await listen({ id }, { 'last-event-id': position })
    const second = await listen({ id, after: position })
    for (const again of [first, second]) {
      const text = await readUntil(again, 'SHIPPED')
      expect(text).toContain('"note":"t-1"')
      expect(text).not.toContain('CONFIRMED')
      again.destroy()
    }
    expect((await listen({ id: 'none' })).statusCode).toBe(404)
    const wrong = await listen({ id, after: 'nowhere' })
    expect(JSON.parse((await wrong.toArray()).join(''))).toMatchObject({
      status: 400,
      errors: [{ field: 'afterPosition' }],
    })
  })

  test('ends without complete when the instance stops, and the source with it', async () => {
    const stream = await listen({ id: await shop.place('c-1', ['p-1']) })
    await readUntil(stream, 'PLACED')
    let rest = ''
    stream.on('data', (chunk: string) => {
      rest += chunk
    })
    const ended = once(stream, 'end')
    await shop.storefront.stop()
    await ended
    expect(rest).not.toContain('complete')
    await until(() => shop.followers() === 0, 'nobody follows the events')
  })
})

describe('with parts away', () => {
  beforeAll(async () => {
    await shop.stop()
    shop = await startBackends(server, 'parts')
  }, 30_000)

  test('a page keeps what there is: without the catalogue, without orders, without customers', async () => {
    const orderId = await shop.place('c-1', ['p-1', 'p-2'])
    await register('c-1', 'Ada')
    await shop.caughtUp()
    // An id that nobody can have is unknown, and takes no name from the others.
    const odd = await ask('CustomersPage', { ids: ['c-1', 'a\0b'] })
    expect(odd.errors).toBeUndefined()
    expect(odd.data?.customers).toMatchObject([{ name: 'Ada' }, { name: null }])
    // A database that hangs costs what it has, not the page.
    const session = await shop.database.session()
    await session.query({ text: 'begin; lock table customer' })
    const hanging = await ask('OrderPage', { id: orderId })
    expect(hanging.data?.order).toMatchObject({ id: orderId, customer: { id: 'c-1', name: null } })
    expect(errorsOf(hanging)).toEqual([['order.customer.name', 'deadline-exceeded']])
    await session.query({ text: 'rollback' })
    session.release()
    await shop.catalog.stop()
    const noCatalog = await ask('OrderPage', { id: orderId })
    expect(noCatalog.data?.order).toMatchObject({
      id: orderId,
      customer: { name: 'Ada' },
      items: [
        { productId: 'p-1', product: null },
        { productId: 'p-2', product: null },
      ],
    })
    expect(errorsOf(noCatalog)).toEqual([
      ['order.items.0.product', 'unavailable'],
      ['order.items.1.product', 'unavailable'],
    ])
    await shop.database.query(statement('drop table customer'))
    const noNames = await ask('OrderPage', { id: orderId })
    expect(noNames.data?.order).toMatchObject({ id: orderId, customer: { id: 'c-1', name: null } })
    expect(errorsOf(noNames)).toContainEqual(['order.customer.name', 'internal'])
    expect(JSON.stringify(noNames)).not.toContain('does not exist')
    await shop.orders.stop()
    const noOrders = await ask('CustomersPage', { ids: ['c-1'] })
    expect(noOrders.data?.customers).toEqual([{ id: 'c-1', name: null, orders: null }])
    expect(errorsOf(noOrders)).toContainEqual(['customers.0.orders', 'unavailable'])
    expect(JSON.stringify(noOrders)).not.toContain('sock')
    await server.stop()
    const noDatabase = await ask('CustomersPage', { ids: ['c-1'] })
    expect(errorsOf(noDatabase)).toContainEqual(['customers.0.name', 'unavailable'])
    expect(JSON.stringify(noDatabase)).not.toMatch(/PGSQL|connect/)
  })
})
