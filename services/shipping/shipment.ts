import { createHash } from 'node:crypto'

/** A parcel for an order. */
export type Shipment = { readonly shipmentId: string; readonly trackingNumber: string }

/** The parcel of an order. Its numbers follow from the order, so a repetition names the same parcel. */
export function shipmentOf(orderId: string): Shipment {
  const digest = createHash('sha256').update(orderId).digest('hex').toUpperCase()
  return { shipmentId: `s-${orderId}`, trackingNumber: `PLY${digest.slice(0, 12)}` }
}
