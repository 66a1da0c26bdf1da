import { publisher } from '#kit/messaging/publisher.ts'
import type { Tx } from '#kit/store/database.ts'
import { inventory, stockEvents } from '#mesh/shop.ts'
import { StockRejectedSchema, StockReleasedSchema, StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import type { CheckStockRequest } from '#proto/parley/inventory/v1/inventory_pb.ts'
import type { OrderCancelled, OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'
import { decideReservation } from './stock.ts'
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

/** Sets an order's lines aside, all or none. An order that was cancelled before keeps its tombstone and gets nothing. */
export async function reserve(order: OrderPlaced, tx: Tx<InventoryTables>): Promise<void> {
  const { orderId, customerId, total, paymentMethod } = order
  if (await lockReservation(tx, orderId)) return
  const available = await lockStock(
    tx,
    order.items.map(({ productId }) => productId),
  )
  const reservation = decideReservation(available, order.items)
  if (reservation.kind === 'rejected') {
    await insertReservation(tx, orderId, 'rejected', [])
    publish(tx, StockRejectedSchema, { orderId, reason: reservation.reason })
    return
  }
  const { lines } = reservation
  await addStock(
    tx,
    lines.map(({ productId, quantity }) => ({ productId, quantity: -quantity })),
  )
  await insertReservation(tx, orderId, 'reserved', lines)
  publish(tx, StockReservedSchema, { orderId, customerId, ...(total && { total }), paymentMethod, lines: [...lines] })
}

/** Puts back what was set aside for an order; leaves a tombstone where nothing was yet. */
export async function release({ orderId }: OrderCancelled, tx: Tx<InventoryTables>): Promise<void> {
  const reservation = await lockReservation(tx, orderId)
  if (!reservation) return insertReservation(tx, orderId, 'released', [])
  if (reservation.status !== 'reserved') return
  await addStock(tx, reservation.lines)
  await updateReservation(tx, orderId, 'released')
  publish(tx, StockReleasedSchema, { orderId })
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
