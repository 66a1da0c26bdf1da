import { attempt, identityOf } from '#test/shop/mesh-attempt.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

const everyMs = 1_000

/** The mesh: what is not declared is refused, and a callee that is down costs its callers no more than its breaker allows. */
export const serviceMeshRow: Row = {
  number: 13,
  name: 'service-mesh',
  pattern: 'Service mesh: identities, and a breaker that opens and closes',
  services: ['gateway', 'orders', 'inventory'],
  // The breaker is open for 30 s.
  withinMs: 90_000,
  async walk(visit) {
    await identities(visit)
    const { control } = visit.shop
    visit.afterwards(() => control.start('inventory'))
    await visit.show(
      'bin/parley stop inventory',
      () => control.stop('inventory'),
      () => 'inventory is stopped',
    )
    const before = await connectionFailures(visit)
    for (let index = 1; index <= 5; index += 1) await withoutInventory(visit, index)
    await visit.until(
      'The breaker did not open',
      () => ejected(visit),
      (active) => active === 1,
    )
    const after = await connectionFailures(visit)
    must(after > before, 'Nobody tried to reach inventory, so that nothing was shown')
    const sixth = await withoutInventory(visit, 6)
    const tried = (await connectionFailures(visit)) - after
    await visit.show(
      'envoy_cluster_outlier_detection_ejections_active{envoy_cluster_name="call/inventory"} of orders’ sidecar',
      () => ejected(visit),
      (active) => `${active}: five orders made ${after - before} attempts, the sixth ${tried}`,
    )
    must(tried === 0, `The sixth order made ${tried} attempts, though the breaker was open`)
    await visit.show(
      'bin/parley start inventory',
      () => control.start('inventory'),
      () => 'inventory is ready',
    )
    // It is there again, but the breaker's 30 s are not over.
    await withoutInventory(visit, 7)
    let orders = 0
    const again = () => placeOrder(visit, { key: `again-${visit.token}-${++orders}`, shown: false })
    const asked = () =>
      visit.until('No call passed again', again, ({ stockCheck }) => stockCheck === 'available', everyMs)
    await visit.show('POST /api/v2/orders, until its stock is checked', asked, () => `"available", at order ${orders}`)
    await orderIn(visit, sixth, 'shipped')
  },
}

/** Who may call what: the same call with the certificate of who declared it, of another service, and without one. */
async function identities(visit: Visit): Promise<void> {
  const { plan, layout } = visit.shop
  const { inbound } = layout.services.inventory ?? {}
  const methods = plan.services.find(({ name }) => name === 'inventory')?.apis.flatMap((api) => api.methods)
  const method = methods?.find(({ name }) => name === 'checkStock')
  must(inbound && method, 'The declaration has no inventory.checkStock')
  const as = (service: string) => identityOf(layout.services[service]?.certs ?? { cert: '', key: '', authority: '' })
  const tries = [
    ['as orders, who declares it', () => as('orders'), 'allowed'],
    ['as gateway, who does not', () => as('gateway'), 'denied'],
    ['without a certificate', () => null, 'no connection'],
  ] as const
  for (const [who, identity, wanted] of tries) {
    const call = () => attempt(inbound, identity(), 'grpc', method)
    const verdict = await visit.show(`inventory.checkStock ${who}`, call, (said) => said)
    must(verdict === wanted, `A call ${who} is ${verdict} instead of ${wanted}`)
  }
}

/** Places an order that is accepted though its stock cannot be checked; answers its id. */
async function withoutInventory(visit: Visit, index: number): Promise<string> {
  const { orderId, stockCheck } = await placeOrder(visit, {
    key: `down-${visit.token}-${index}`,
    shown: index === 1 || index === 6,
  })
  must(stockCheck === 'unknown', `Inventory was not to be asked, and order ${index} says of the stock: ${stockCheck}`)
  return orderId
}

const ejected = (visit: Visit) => statOf(visit, 'envoy_cluster_outlier_detection_ejections_active')
const connectionFailures = (visit: Visit) => statOf(visit, 'envoy_cluster_upstream_cx_connect_fail')

/** A figure of orders' sidecar about its calls to inventory. */
async function statOf({ shop, signal }: Visit, name: string): Promise<number> {
  const { address, port } = shop.layout.services.orders?.metrics ?? { address: '', port: 0 }
  const text = await (await fetch(`http://${address}:${port}/stats/prometheus`, { signal })).text()
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) && each.includes('"call/inventory"'))
  must(line, `The sidecar of orders has no ${name}`)
  return Number(line.split(' ').at(-1))
}
