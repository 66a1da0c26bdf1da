import { phaseInWords } from '#mesh/cli/saga-text.ts'
import { ask, askShown } from '../operations.ts'
import { chargeOf, orderIn, placeOrder } from '../orders.ts'
import { must, type Row, type Visit } from '../row.ts'

type Story = {
  readonly status: string
  readonly steps: readonly { readonly name: string; readonly phase: string }[]
}

/** A saga with a leader: who knows how far each order is, and turns it back in reverse order. */
export const orchestrationRow: Row = {
  number: 12,
  name: 'saga-orchestration',
  pattern: 'Saga by orchestration: led to its end, or back',
  services: ['gateway', 'orders', 'fulfilment', 'inventory', 'payments', 'shipping', 'notifications'],
  async walk(visit) {
    const good = await placeOrder(visit, { fulfilment: 'orchestrated' })
    await orderIn(visit, good.orderId, 'shipped')
    const completed = await ended(visit, good.orderId, 'completed')
    must(
      completed.steps.every(({ phase }) => phase === 'done'),
      'Not every step is done',
    )
    const wish = {
      fulfilment: 'orchestrated',
      paymentMethod: 'card-declined',
      key: `demo-${visit.token}-declined`,
    } as const
    const declined = await placeOrder(visit, wish)
    await orderIn(visit, declined.orderId, 'cancelled')
    await ended(visit, declined.orderId, 'compensated')
    must(
      (await chargeOf(visit, declined.orderId))?.status !== 'captured',
      'The bank kept money of what was not shipped',
    )
  },
}

/** Waits for a saga's end, and shows its steps. */
async function ended(visit: Visit, orderId: string, wanted: string): Promise<Story> {
  const story = () => ask<Story>(visit, 'fulfilment', `sagas/fulfil/${orderId}`)
  await visit.until(`The saga ${orderId} was not ${wanted}`, story, ({ status }) => status === wanted)
  return askShown<Story>(visit, 'fulfilment', `sagas/fulfil/${orderId}`, [], ({ status, steps }) =>
    [`${status}:`, steps.map(({ name, phase }) => `${name} ${phaseInWords(phase, true)}`).join(', ')].join(' '),
  )
}
