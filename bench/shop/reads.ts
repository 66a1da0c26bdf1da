/** What is read through the edges of the shop, one beside the other: each question meets the same machine. */
import { documentIdOf } from '#kit/graphql/operations.ts'
import type { Stack } from '#test/stack.ts'
import { operations } from '../../services/storefront/operations.ts'
import { besideEachOther, closedLoop, quantile } from '../load.ts'
import { latencyLines, print, ratioOf } from '../report.ts'
import { edgeOf, expect } from './ask.ts'

const perSecond = 15
const seconds = 14
const productsPerSecond = 20
const productsSeconds = 6
const inFlight = 8
const secondsInFlight = 1.5
const restClaim = '10–100 ms'

/** Asks for the same orders in every way that there is: rows 4, 15 and 17. */
export async function measureReads(shop: Stack, orderIds: readonly string[]): Promise<void> {
  const ask = questions(shop, (index) => orderIds[index % orderIds.length])
  const { graphql, v2, page, v1 } = await besideEachOther(ask, { perSecond, seconds })
  const graph = await rateOf(ask.graphql)
  const rest = 'REST, GET /api/v2/orders/{id}'
  print(`4 · GraphQL: the page of an order with five products, open loop, ${perSecond}/s each for ${seconds} s`, [
    ...latencyLines('GraphQL, one question by its documentId', graphql, { claimed: '10–200 ms' }),
    ...latencyLines(`${rest}, beside it`, v2, { claimed: restClaim }),
    {
      what: 'GraphQL page / one REST read, p50',
      measured: ratioOf(graphql, v2),
      ...{ unit: '×', target: 2 },
    },
    {
      what: `GraphQL, ${inFlight} in flight`,
      measured: graph.perSecond,
      ...{ unit: 'pages/s', claimed: 'moderate' },
      note: `${graph.failed} failed; the exposure lets 200/s in, after a burst of 400`,
    },
  ])
  print(`15 · API gateway and composition: the same orders, ${perSecond}/s each in the same run`, [
    ...latencyLines('page of order, history and products', page, { claimed: '–' }),
    { what: 'page / one REST read, p50', measured: ratioOf(page, v2), unit: '×' },
  ])
  print(`17 · API versions: the same orders, ${perSecond}/s each in the same run`, [
    ...latencyLines('version 1, translated', v1, { claimed: '–' }),
    ...latencyLines('version 2', v2, { claimed: '–' }),
    { what: 'translation adds at p50', measured: quantile(v1, 0.5) - quantile(v2, 0.5), unit: 'ms' },
  ])
}

/** Every way to ask for an order. A question takes nothing but a whole answer. */
export function questions(shop: Stack, of: (index: number) => string | undefined) {
  const { url } = shop
  const text = operations.find((operation) => operation.startsWith('query OrderPage')) ?? ''
  const documentId = documentIdOf(text)
  const graphqlUrl = `${edgeOf(shop, 'storefront')}/graphql`
  return {
    async graphql(index: number) {
      const body = JSON.stringify({ documentId, variables: { id: of(index) } })
      const asked = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
      const answer = await expect(200, graphqlUrl, asked)
      // A page with a hole in it was less work.
      if (answer.body.errors) throw new Error(`The page came with ${JSON.stringify(answer.body.errors)}`)
    },
    v2: (index: number) => expect(200, `${url}/api/v2/orders/${of(index)}`),
    async page(index: number) {
      const { body } = await expect(200, `${url}/api/v2/orders/${of(index)}/page`)
      if ((body.missing as unknown[]).length > 0) throw new Error(`The page lacks ${JSON.stringify(body.missing)}`)
    },
    v1: (index: number) => expect(200, `${url}/api/v1/orders/${of(index)}`),
  }
}

/** How many a second are answered, of callers that ask again at once. */
async function rateOf(ask: (index: number) => Promise<unknown>): Promise<{ perSecond: number; failed: number }> {
  let [next, answered, failed] = [0, 0, 0]
  const call = async () => {
    const index = next
    next += 1
    await ask(index).then(
      () => {
        answered += 1
      },
      () => {
        failed += 1
      },
    )
  }
  const { elapsedMs } = await closedLoop({ callers: inFlight, seconds: secondsInFlight, call })
  return { perSecond: (answered * 1_000) / elapsedMs, failed }
}

/** What the gateway keeps of the catalogue, and what it has to ask for. */
export type ProductReads = { readonly hit: readonly number[]; readonly miss: readonly number[] }

/** Asks for one page of products again and again, and for others that nobody has asked for. */
export async function readProducts(shop: Stack): Promise<ProductReads> {
  await products(shop, 'p-1', /./)
  const calls = {
    hit: () => products(shop, 'p-1', /^gateway; hit/),
    miss: (index: number) => products(shop, `p-1.${index}`, /fwd=miss/),
  }
  return besideEachOther(calls, { perSecond: productsPerSecond, seconds: productsSeconds })
}

/** Asks for the same others once more, at least ten seconds later, and prints row 1. */
export async function measureProducts(shop: Stack, { hit, miss }: ProductReads): Promise<void> {
  const again = (index: number) => products(shop, `p-1.${index}`, /fwd-status=304/)
  const { revalidated } = await besideEachOther(
    { revalidated: again },
    { perSecond: productsPerSecond, seconds: productsSeconds },
  )
  const title = `1 · REST: the catalogue through the gateway, open loop, ${productsPerSecond}/s each for ${productsSeconds} s`
  print(title, [
    ...latencyLines('kept by the gateway', hit, { claimed: restClaim, note: 'the catalogue is not asked' }),
    ...latencyLines('asked again, 304', revalidated, { claimed: restClaim }),
    ...latencyLines('asked for the first time', miss, { claimed: restClaim }),
  ])
}

/** A page of one product. Where it begins is any name, so that there are as many different questions as one likes. */
async function products({ url }: Stack, after: string, how: RegExp): Promise<void> {
  const { headers } = await expect(200, `${url}/api/v2/products?limit=1&after=${after}`)
  const status = headers.get('cache-status') ?? ''
  if (!how.test(status)) throw new Error(`The catalogue's answer came by "${status}" instead of ${how}`)
}
