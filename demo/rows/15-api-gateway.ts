import { orderIn, placeOrder } from '../orders.ts'
import { type Answer, must, type Row } from '../row.ts'

type Page = {
  readonly order: { readonly orderId: string }
  readonly history: readonly { readonly revision: number }[] | null
  readonly products: readonly { readonly name: string }[] | null
  readonly missing: readonly { readonly part: string; readonly code: string }[]
}

/** Composition: one page of an order from orders and the catalogue, and what is left of it while one of them is away. */
export const apiGatewayRow: Row = {
  number: 15,
  name: 'api-gateway',
  pattern: 'API composition: one page, also while a part is away',
  // The catalogue's answers are kept for seconds, so that it need not take part every time.
  services: ['gateway', 'orders'],
  withinMs: 60_000,
  async walk(visit) {
    const { control } = visit.shop
    const { orderId } = await placeOrder(visit)
    await orderIn(visit, orderId, 'shipped')
    const path = `/api/v2/orders/${orderId}/page`
    const ask = () => visit.request<Page>('GET', path, { shown: false })
    const isWhole = ({ body }: Answer<Page>) => body.missing.length === 0 && body.history?.length === 3
    const whole = () => visit.until('The page was not whole', ask, isWhole)
    await visit.show(`GET ${path}`, whole, ({ status, body }) => `${status} ${inWords(body)}`)

    // Products nobody has asked for together: the gateway has no answer of the catalogue's that it could keep to.
    const { orderId: other } = await placeOrder(visit, {
      quantity: 2,
      key: `page-${visit.token}`,
      productId: 'p-8',
    })
    visit.afterwards(() => control.start('catalog'))
    await visit.show(
      'bin/parley stop catalog',
      () => control.stop('catalog'),
      () => 'catalog is stopped',
    )
    const otherPath = `/api/v2/orders/${other}/page`
    const askOther = () => visit.request<Page>('GET', otherPath, { shown: false })
    const partial = await visit.show(`GET ${otherPath}`, askOther, ({ status, body }) => `${status} ${inWords(body)}`)
    must(partial.status === 200 && partial.body.order.orderId === other, 'Without the catalogue there is no page')
    const lacks = partial.body.missing.map(({ part }) => part)
    must(partial.body.products || lacks.includes('products'), 'What is missing is not named')
    await visit.show(
      'bin/parley start catalog',
      () => control.start('catalog'),
      () => 'catalog is ready',
    )
  },
}

function inWords({ order, history, products, missing }: Page): string {
  const parts = [
    `order ${order.orderId}`,
    `steps of history: ${history?.length ?? 'none'}`,
    `products: ${products?.map(({ name }) => name).join(', ') ?? 'none'}`,
    ...missing.map(({ part, code }) => `missing: ${part} (${code})`),
  ]
  return parts.join(', ')
}
