import { publisher } from '#kit/messaging/publisher.ts'
import type { Tx } from '#kit/store/database.ts'
import { shipmentEvents, shipping } from '#mesh/shop.ts'
import type { OrderConfirmed } from '#proto/parley/orders/v1/events_pb.ts'
import { ShipmentDispatchedSchema } from '#proto/parley/shipping/v1/events_pb.ts'
import type { QuoteRequest } from '#proto/parley/shipping/v1/quotes_pb.ts'
import { shipmentOf } from './shipment.ts'
import { insertShipment, type ShippingTables } from './store.ts'
import { priceParcel } from './tariff.ts'

const publish = publisher(shipping, shipmentEvents)

/** Sends the parcel of a confirmed order off. */
export async function dispatch({ orderId }: OrderConfirmed, tx: Tx<ShippingTables>): Promise<void> {
  const shipment = shipmentOf(orderId)
  if (await insertShipment(tx, orderId, shipment)) publish(tx, ShipmentDispatchedSchema, { orderId, ...shipment })
}

/** Says what a parcel costs. Nothing is written for it, so it needs no transaction. */
export async function quote({ country, weightGrams }: QuoteRequest) {
  const { minorUnits, daysMin, daysMax } = priceParcel(country, weightGrams)
  return { country, weightGrams, price: { currency: 'EUR', minorUnits: BigInt(minorUnits) }, daysMin, daysMax }
}
