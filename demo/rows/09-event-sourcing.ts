import { askShown } from '../operations.ts'
import { orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'

type Audit = {
  readonly order: { readonly status: string; readonly trackingNumber?: string }
  readonly events: readonly { readonly version: number; readonly at: string; readonly type: string }[]
}

/** Event sourcing: an order is its events, so that one can ask what was known of it at any time. */
export const eventSourcingRow: Row = {
  number: 9,
  name: 'event-sourcing',
  pattern: 'Event sourcing: what is known, and what was known then',
  services: ['gateway', 'orders'],
  async walk(visit) {
    const { orderId } = await placeOrder(visit)
    await orderIn(visit, orderId, 'shipped')
    const now = await askShown<Audit>(visit, 'orders', `audit/${orderId}`, [], inWords)
    must(versions(now) === '1,2,3', `The versions of its events are ${versions(now)}`)
    must(now.order.trackingNumber, 'Its events do not say where its parcel is')
    // The moment before the second event: what is written in between rounds to a millisecond.
    const confirmedAt = Date.parse(now.events[1]?.at ?? '')
    const at = `at=${new Date(confirmedAt - 1).toISOString()}`
    const then = await askShown<Audit>(visit, 'orders', `audit/${orderId}`, [at], inWords)
    must(versions(then) === '1', `What was known before it was confirmed are the events ${versions(then)}`)
    must(then.order.status === 'ORDER_STATUS_PLACED', `It was ${then.order.status} before it was confirmed`)
  },
}

function inWords({ order, events }: Audit): string {
  return `${order.status}: ${events.map(({ version, type }) => `${version} ${type.split('.').at(-1)}`).join(', ')}`
}

function versions({ events }: Audit): string {
  return events.map(({ version }) => version).join()
}
