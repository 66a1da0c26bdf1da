import { publisher, sender } from '#kit/messaging/publisher.ts'
import { done, refused, replying, undone } from '#kit/saga/participant.ts'
import type { Tx } from '#kit/store/database.ts'
import { fulfilmentReplies, stockEvents } from '#mesh/shop/messages.ts'
import { inventory } from '#mesh/shop.ts'
import type { ReleaseStock, ReserveStock } from '#proto/parley/inventory/v1/commands_pb.ts'
import { StockRejectedSchema, StockReleasedSchema, StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import type { CheckStockRequest } from '#proto/parley/inventory/v1/inventory_pb.ts'
import type { OrderCancelled, OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment } from '#proto/parley/orders/v1/orders_pb.ts'
import { decideReservation, type Line, type Reservation } from './stock.ts'
import {
  addStock,
  type InventoryTables,
  insertReservation,
  lockReservation,
  lockStock,
  readStock,
  updateReservation,
} from './store.ts'

const publish = publisher(inventory, stockEvents)

const reply = sender(inventory, fulfilmentReplies)

/** Who leads an order's fulfilment asks for each step itself. */
const ignores = ({ fulfilment }: OrderPlaced | OrderCancelled) => fulfilment === Fulfilment.ORCHESTRATED

/** What follows from an order's events, where nobody leads its fulfilment. */
export const reactions = {
  OrderPlaced: {
    ignores,
    prepare: alone(async (order: OrderPlaced, tx) => {
      const { orderId, customerId, total, paymentMethod } = order
      const { reservation, isNew } = await setAside(orderId, order.items, tx)
      if (!isNew) return
      if (reservation.kind === 'rejected') publish(tx, StockRejectedSchema, { orderId, reason: reservation.reason })
      else {
        const lines = [...reservation.lines]
        publish(tx, StockReservedSchema, { orderId, customerId, ...(total && { total }), paymentMethod, lines })
      }
    }),
  },
  OrderCancelled: {
    ignores,
    prepare: alone(async ({ orderId }: OrderCancelled, tx) => {
      if (await putBack(orderId, tx)) publish(tx, StockReleasedSchema, { orderId })
    }),
  },
}

/**
 * Each order in a transaction of its own: the lines of one are locked in the order of their products, but several orders in
 * one transaction would lock them as the orders come, and two such transactions end each other as a deadlock.
 */
function alone<M>(handle: (order: M, tx: Tx<InventoryTables>) => Promise<void>) {
  return async (order: M) => (tx: Tx<InventoryTables>) => handle(order, tx)
}

/** What the leader of an order's fulfilment may tell inventory. */
export const commands = {
  ReserveStock: replying(reply, async ({ orderId, lines }: ReserveStock, tx: Tx<InventoryTables>) => {
    const { reservation } = await setAside(orderId, lines, tx)
    return reservation.kind === 'reserved' ? done() : refused(reservation.reason)
  }),
  ReleaseStock: replying(reply, async ({ orderId }: ReleaseStock, tx: Tx<InventoryTables>) => {
    await putBack(orderId, tx)
    return undone()
  }),
}

/** Sets an order's lines aside once, all or none. An order that was cancelled before keeps its tombstone and gets nothing. */
async function setAside(
  orderId: string,
  wanted: readonly Line[],
  tx: Tx<InventoryTables>,
): Promise<{ reservation: Reservation; isNew: boolean }> {
  const known = await lockReservation(tx, orderId)
  if (known?.status === 'reserved') return { reservation: { kind: 'reserved', lines: known.lines }, isNew: false }
  if (known) {
    const reason = known.reason || 'the stock was released before'
    return { reservation: { kind: 'rejected', reason }, isNew: false }
  }
  const available = await lockStock(
    tx,
    wanted.map(({ productId }) => productId),
  )
  const reservation = decideReservation(available, wanted)
  if (reservation.kind === 'rejected') {
    await insertReservation(tx, orderId, 'rejected', [], reservation.reason)
    return { reservation, isNew: true }
  }
  await addStock(
    tx,
    reservation.lines.map(({ productId, quantity }) => ({ productId, quantity: -quantity })),
  )
  await insertReservation(tx, orderId, 'reserved', reservation.lines)
  return { reservation, isNew: true }
}

/** Puts back what was set aside for an order, and tells whether anything was; leaves a tombstone where nothing was yet. */
async function putBack(orderId: string, tx: Tx<InventoryTables>): Promise<boolean> {
  const reservation = await lockReservation(tx, orderId)
  if (!reservation) await insertReservation(tx, orderId, 'released', [])
  if (reservation?.status !== 'reserved') return false
  // In their order, as when they were set aside: an update by itself locks them in the order in which it finds them.
  await lockStock(
    tx,
    reservation.lines.map(({ productId }) => productId),
  )
  await addStock(tx, reservation.lines)
  await updateReservation(tx, orderId, 'released')
  return true
}

/** Tells for each line whether there is enough now. */
export async function checkStock({ lines }: CheckStockRequest, db: Tx<InventoryTables>['db']) {
  const available = await readStock(
    db,
    lines.map(({ productId }) => productId),
  )
  return {
    lines: lines.map(({ productId, quantity }) => {
      const free = available.get(productId)
      return { productId, known: free !== undefined, available: free ?? 0, sufficient: (free ?? 0) >= quantity }
    }),
  }
}
