import type { Tx } from '#kit/store/database.ts'
import type { Shipment } from './shipment.ts'

/** The tables of shipping's database. */
export type ShippingTables = { shipment: { order_id: string; shipment_id: string; tracking_number: string } }

/** Writes an order's shipment; false where it is there already. */
export async function insertShipment(tx: Tx<ShippingTables>, orderId: string, shipment: Shipment): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx.db
    .insertInto('shipment')
    .values({ order_id: orderId, shipment_id: shipment.shipmentId, tracking_number: shipment.trackingNumber })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}
