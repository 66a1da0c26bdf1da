import { create } from '@bufbuild/protobuf'
import { describe, expect, test } from '@jest/globals'
import { withDeadline } from '#kit/deadline.ts'
import { notFound, ServiceError } from '#kit/errors.ts'
import { silentLog } from '#kit/telemetry/log.ts'
import { GetOrderDetailResponseSchema, GetOrderResponseSchema, OrderStatus } from '#proto/parley/orders/v1/orders_pb.ts'
import { orderPage } from './page.ts'

const total = { currency: 'EUR', minorUnits: 1498n }
const items = ['p-2', 'p-1', 'p-2'].map((productId) => ({ productId, quantity: 1, unitPrice: total }))
const order = { orderId: 'o-1', customerId: 'c-1', items, total, status: OrderStatus.PLACED, version: 1n }
const product = {
  productId: 'p-1',
  name: 'Pot',
  description: '',
  price: { currency: 'EUR', minorUnits: 749 },
  revision: 1,
}

const answers = {
  order: async () => create(GetOrderResponseSchema, { order }),
  detail: async () =>
    create(GetOrderDetailResponseSchema, { order, history: [{ version: 1n, status: OrderStatus.PLACED, at: 't' }] }),
  products: async (_ids: string): Promise<unknown> => ({ products: [product] }),
}
const never = () => new Promise<never>(() => undefined)

async function page(given: Partial<typeof answers>) {
  const { order: getOrder, detail: getOrderDetail, products } = { ...answers, ...given }
  const asked: string[] = []
  const catalog = {
    async listProducts({ query }: { query: { ids: string } }) {
      asked.push(query.ids)
      return { status: 200, headers: {}, body: await products(query.ids) }
    },
  }
  const parts = { orders: { getOrder, getOrderDetail }, catalog, log: silentLog } as never
  const startedMs = performance.now()
  const { status, body } = await withDeadline(300, () => orderPage('o-1', parts))
  return { status, body: body as Record<string, unknown>, asked, ms: performance.now() - startedMs }
}

describe('the page of an order', () => {
  test('has its history and its products, all asked for once', async () => {
    const { status, body, asked } = await page({})
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        order: { orderId: 'o-1', total: { amount: '14.98' } },
        history: [{ revision: 1, state: { name: 'placed' }, at: 't' }],
        products: [{ productId: 'p-1', name: 'Pot', price: { currency: 'EUR', amount: '7.49' } }],
        missing: [],
      },
    })
    expect(asked).toEqual(['p-1,p-2'])
  })

  test('lacks only the product whose id can be none', async () => {
    const of = (...ids: string[]) => ({
      order: async () =>
        create(GetOrderResponseSchema, {
          order: { ...order, items: ids.map((productId) => ({ productId, quantity: 1, unitPrice: total })) },
        }),
    })
    const { body, asked } = await page(of('p-1', 'a,b', '-'))
    expect(body).toMatchObject({ products: [{ productId: 'p-1' }], missing: [] })
    expect(asked).toEqual(['p-1'])
    expect(await page(of('no product'))).toMatchObject({ body: { products: [], missing: [] }, asked: [] })
  })

  test.each<[string, Partial<typeof answers>, string, string]>([
    [
      'the catalogue cannot be had',
      { products: () => Promise.reject(new ServiceError('unavailable', '')) },
      'products',
      'unavailable',
    ],
    ['the catalogue hangs', { products: never }, 'products', 'deadline-exceeded'],
    ['the catalogue answers nonsense', { products: async () => ({}) }, 'products', 'internal'],
    ['the history is not there yet', { detail: () => Promise.reject(notFound('')) }, 'history', 'not-found'],
  ])('comes in time where %s, and says so', async (_what, given, part, code) => {
    const { status, body, ms } = await page(given)
    expect(status).toBe(200)
    expect(body).toMatchObject({ order: { orderId: 'o-1' }, [part]: null, missing: [{ part, code }] })
    expect(ms).toBeLessThan(290)
  })

  test('is none without the order, whatever else is had', async () => {
    await expect(page({ order: () => Promise.reject(notFound('No such order')) })).rejects.toMatchObject({
      code: 'not-found',
    })
    await expect(page({ order: never })).rejects.toMatchObject({ code: 'deadline-exceeded' })
  })
})
