import type { About, CommandsOf } from '#kit/saga/orchestrator.ts'
import type { fulfil } from '#mesh/shop.ts'
import type { OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'

type Order = About<OrderPlaced>

/** What each step is told. When, in which order, and what undoes it stands in the declaration. */
export const commands: CommandsOf<(typeof fulfil)['steps'], OrderPlaced> = {
  place: { undo: ({ sagaId: orderId, reason }: Order) => ({ orderId, reason }) },
  reserve: {
    act: ({ sagaId: orderId, input }: Order) => ({
      orderId,
      lines: input.items.map(({ productId, quantity }) => ({ productId, quantity })),
    }),
    undo: ({ sagaId: orderId }: Order) => ({ orderId }),
  },
  charge: {
    act: ({ sagaId: orderId, input: { total, paymentMethod } }: Order) => ({
      orderId,
      ...(total && { amount: total }),
      paymentMethod,
    }),
    undo: ({ sagaId: orderId }: Order) => ({ orderId }),
  },
  confirm: { act: ({ sagaId: orderId }: Order) => ({ orderId }) },
  ship: { act: ({ sagaId: orderId }: Order) => ({ orderId }) },
  notify: {
    act: ({ sagaId: orderId, input: { customerId, total } }: Order) => ({
      orderId,
      customerId,
      ...(total && { total }),
    }),
  },
}
