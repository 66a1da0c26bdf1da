import { sql } from 'kysely'
import type { Tx } from '#kit/store/database.ts'
import { anyOf } from '#kit/store/kysely.ts'
import type { Line } from './stock.ts'

/** The tables of inventory's database. */
export type InventoryTables = {
  stock: { product_id: string; available: number }
  reservation: { order_id: string; status: ReservationStatus; lines: string; reason: string }
}

/** `released` is also the tombstone of an order that was cancelled before it could be reserved. */
export type ReservationStatus = 'reserved' | 'rejected' | 'released'

type InventoryTx = Tx<InventoryTables>

/** The reservation of an order, locked until the transaction ends; null where there is none. */
export async function lockReservation(
  tx: InventoryTx,
  orderId: string,
): Promise<{ status: ReservationStatus; lines: Line[]; reason: string } | null> {
  const row = await tx.db
    .selectFrom('reservation')
    .where('order_id', '=', orderId)
    .select(['status', 'lines', 'reason'])
    .forUpdate()
    .executeTakeFirst()
  return row ? { ...row, lines: row.lines as unknown as Line[] } : null
}

/** Writes a reservation that must not exist yet, or why there is none. */
export async function insertReservation(
  tx: InventoryTx,
  orderId: string,
  status: ReservationStatus,
  lines: readonly Line[],
  reason = '',
): Promise<void> {
  await tx.db
    .insertInto('reservation')
    .values({ order_id: orderId, status, lines: JSON.stringify(lines), reason })
    .execute()
}

/** Moves a reservation on. */
export async function updateReservation(tx: InventoryTx, orderId: string, status: ReservationStatus): Promise<void> {
  await tx.db.updateTable('reservation').set({ status }).where('order_id', '=', orderId).execute()
}

/** What is free of these products, locked in the order of their ids. */
export async function lockStock(tx: InventoryTx, productIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await tx.db
    .selectFrom('stock')
    .select(['product_id', 'available'])
    .where('product_id', '=', anyOf(productIds))
    .orderBy('product_id')
    .forUpdate()
    .execute()
  return new Map(rows.map(({ product_id, available }) => [product_id, available]))
}

/** What is free of these products now. */
export async function readStock(db: InventoryTx['db'], productIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('stock')
    .select(['product_id', 'available'])
    .where('product_id', '=', anyOf(productIds))
    .execute()
  return new Map(rows.map(({ product_id, available }) => [product_id, available]))
}

/** Adds to what is free, all lines in one statement; negative quantities take. */
export async function addStock(tx: InventoryTx, lines: readonly Line[]): Promise<void> {
  const productIds = lines.map(({ productId }) => productId)
  const quantities = lines.map(({ quantity }) => quantity)
  await sql`UPDATE stock SET available = available + line.quantity
    FROM unnest(${productIds}::text[], ${quantities}::int[]) AS line(product_id, quantity)
    WHERE stock.product_id = line.product_id`.execute(tx.db)
}
