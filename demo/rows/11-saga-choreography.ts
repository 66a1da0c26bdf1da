import { chargeOf, orderIn, placeOrder } from '../orders.ts'
import { must, type Row } from '../row.ts'
import { publishedByKey, publishedIn } from '../trace.ts'

/** A saga that nobody leads: one order that goes well, and one whose card is declined, which everybody undoes. */
export const choreographyRow: Row = {
  number: 11,
  name: 'saga-choreography',
  pattern: 'Saga by choreography: paid and shipped, or undone',
  services: ['gateway', 'orders', 'inventory', 'payments', 'shipping'],
  async walk(visit) {
    const good = await placeOrder(visit)
    await orderIn(visit, good.orderId, 'shipped')
    must(
      (await chargeOf(visit, good.orderId))?.status === 'captured',
      'The bank did not keep the money of what was shipped',
    )
    const key = `demo-${visit.token}-declined`
    const declined = await placeOrder(visit, { paymentMethod: 'card-declined', key })
    const { state } = await orderIn(visit, declined.orderId, 'cancelled')
    must(state.reason === 'card declined', `It was cancelled because: ${state.reason}`)
    must(
      (await chargeOf(visit, declined.orderId))?.status !== 'captured',
      'The bank kept money of what was not shipped',
    )
  },
  inspect(spans) {
    const events = publishedIn(spans)
    const wanted = ['StockReserved', 'PaymentCaptured', 'ShipmentDispatched', 'PaymentDeclined', 'StockReleased']
    const missing = wanted.filter((name) => !events.includes(name))
    must(missing.length === 0, `The trace lacks the events ${missing.join(', ')}`)
    const stories = [...publishedByKey(spans).values()].map((story) => story.join(' → '))
    must(stories.length === 2, `The trace tells of ${stories.length} orders, instead of two`)
    return stories.sort((a, b) => b.length - a.length).join('; and undone: ')
  },
}
