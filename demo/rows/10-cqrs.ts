import { ask, askShown } from '../operations.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { queryAs } from '../postgres.ts'
import { must, type Row, type Visit } from '../row.ts'

type ReadModels = {
  readonly projections: readonly {
    readonly name: string
    readonly state: string
    readonly generation: number
    readonly lagSeconds: number
    readonly parked: number
  }[]
}

/** CQRS: the list of orders follows from the events, and is built anew while it is read. */
export const cqrsRow: Row = {
  number: 10,
  name: 'cqrs',
  pattern: 'CQRS: a read model, rebuilt online into the same',
  services: ['gateway', 'orders'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit)
    await orderIn(visit, orderId, 'shipped')
    // Moments behind the order itself.
    const followed = () =>
      visit.until(
        'The read model did not follow the order',
        () => rowOf(visit, orderId),
        (row) => row?.version === 3,
      )
    const before = await visit.show('select from order_list, as the role orders', followed, JSON.stringify)
    const began = await askShown<ReadModels>(visit, 'orders', 'projections/order_list/rebuild', [], inWords)
    const wanted = Math.max(...began.projections.map(({ generation }) => generation))
    const isBuilt = ({ projections }: ReadModels) =>
      projections.some(
        ({ name, state, generation }) => name === 'order_list' && state === 'active' && generation >= wanted,
      )
    let reads = 0
    const look = async () => {
      reads += 1
      must(await rowOf(visit, orderId), 'The read model could not be read while it was built anew')
      return ask<ReadModels>(visit, 'orders', 'projections')
    }
    const built = () => visit.until('The read model was not built anew', look, isBuilt)
    await visit.show('bin/parley operate orders projections, until it is built', built, inWords)
    const after = await visit.show(
      'the same select again',
      () => rowOf(visit, orderId),
      (row) =>
        `${JSON.stringify(row) === JSON.stringify(before) ? 'the same row' : JSON.stringify(row)}; reads while it was rebuilt: ${reads}, none without it`,
    )
    must(JSON.stringify(after) === JSON.stringify(before), `Built anew, the row is ${JSON.stringify(after)}`)
  },
}

async function rowOf(visit: Visit, orderId: string) {
  const [row] = await queryAs<{ version: number }>(
    visit.shop,
    'orders',
    'orders',
    'select * from order_list where order_id = $1',
    [orderId],
  )
  return row
}

function inWords({ projections }: ReadModels): string {
  return projections
    .map(({ name, generation, state, parked }) => `${name} generation ${generation} is ${state}, ${parked} parked`)
    .join(' · ')
}
