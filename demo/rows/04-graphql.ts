import { documentIdOf } from '#kit/graphql/operations.ts'
import { operations } from '../../services/storefront/operations.ts'
import { orderIn, placeOrder, registerCustomer } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

type Answer<Data> = {
  readonly data?: Data | null
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[]
}
type Shown = {
  readonly status: string
  readonly customer: { readonly name: string | null }
  readonly items: readonly { readonly quantity: number; readonly product: { readonly name: string } | null }[]
}
type OrdersPage = { readonly orders: readonly (Shown | null)[] }
type OrderPage = { readonly order: (Shown & { readonly history: readonly object[] }) | null }

const name = 'Ada Demo'

/** GraphQL: one question of a front end, answered from several services, each of which is asked once. */
export const graphqlRow: Row = {
  number: 4,
  name: 'graphql',
  pattern: 'GraphQL: one question, several services, no N+1',
  // The catalogue's answers are kept for seconds, so that it need not take part every time.
  services: ['gateway', 'storefront', 'orders'],
  async walk(visit) {
    const customerId = await registerCustomer(visit, name)
    const ids: string[] = []
    for (const productId of ['p-1', 'p-2', 'p-3']) {
      const key = `graphql-${visit.token}-${productId}`
      ids.push((await placeOrder(visit, { customerId, productId, key, shown: false })).orderId)
    }
    for (const id of ids) await orderIn(visit, id, 'shipped')
    const all = () =>
      visit.until('The page did not follow', () => ask<OrdersPage>(visit, 'OrdersPage', { ids }), isWhole)
    await visit.show(`graphql OrdersPage of ${ids.length} orders`, all, ({ data }) =>
      (data?.orders ?? []).map((order) => (order ? orderInWords(order) : 'missing')).join(' · '),
    )
    const look = () => ask<OrderPage>(visit, 'OrderPage', { id: ids[0] })
    // A catalogue that is cold is left out, and the rest is shown.
    const one = () => visit.until('The page was not whole', look, ({ errors }) => errors === undefined)
    const page = await visit.show(`graphql OrderPage of ${ids[0]}`, one, ({ data }) =>
      data?.order ? `${orderInWords(data.order)}, ${data.order.history.length} steps of history` : 'no order',
    )
    const { customer, items = [], history = [] } = page.data?.order ?? {}
    must(customer?.name === name, `The customer is called ${customer?.name}`)
    must(
      items.every(({ product }) => product?.name),
      'The products have no names',
    )
    must(history.length === 3, `Its history has ${history.length} steps`)
    const deep = `{ customer(id: "x") { ${'orders { customer { '.repeat(8)} id ${'} } '.repeat(8)} } }`
    const refused = await visit.request<Answer<object>>('POST', '/graphql', { at: 'storefront', body: { query: deep } })
    must(refused.body.errors?.[0]?.extensions?.code, 'A question without a bottom was answered')
  },
  inspect(spans) {
    const asked = spans.filter(
      ({ kind, localEndpoint }) => kind === 'CLIENT' && localEndpoint?.serviceName === 'storefront',
    )
    must(asked.length > 0, 'The trace has no question of the storefront yet')
    // Of what one operation asks, nothing is asked twice, however many orders it is about.
    const questions = asked.map(({ name, parentId }) => `${name} for ${parentId}`)
    const twice = questions.find((question, index) => questions.indexOf(question) !== index)
    must(!twice, `The storefront asked ${twice} more than once`)
    const distinct = [...new Set(asked.flatMap(({ name }) => name ?? []))].sort()
    return `for one operation the storefront asked nothing twice, however many orders it shows: ${distinct.join(', ')}`
  },
}

/** An order with what other services know of it. */
function orderInWords({ status, customer, items }: Shown): string {
  const bought = items.map(({ quantity, product }) => `${quantity} × ${product?.name ?? 'a product without a name'}`)
  return `${status}, ${bought.join(', ')}, for ${customer.name}`
}

/** Asks one of the operations that the front end is known to ask, by its id. */
async function ask<Data>(visit: Visit, operation: string, variables: object): Promise<Answer<Data>> {
  const text = operations.find((each) => each.includes(` ${operation}(`)) ?? ''
  const documentId = documentIdOf(text)
  const wish = { at: 'storefront', body: { documentId, variables }, shown: false }
  return (await visit.request<Answer<Data>>('POST', '/graphql', wish)).body
}

/** The read model and the customer's name follow within moments. */
function isWhole({ data }: Answer<OrdersPage>): boolean {
  return data?.orders.every((order) => order?.status === 'SHIPPED' && order.customer.name === name) ?? false
}
