import { publisher, sender } from '#kit/messaging/publisher.ts'
import { done, replying } from '#kit/saga/participant.ts'
import type { Tx } from '#kit/store/database.ts'
import { fulfilmentReplies, shipmentEvents } from '#mesh/shop/messages.ts'
import { shipping } from '#mesh/shop.ts'
import type { OrderConfirmed } from '#proto/parley/orders/v1/events_pb.ts'
import { Fulfilment } from '#proto/parley/orders/v1/orders_pb.ts'
import type { DispatchParcel } from '#proto/parley/shipping/v1/commands_pb.ts'
import { ShipmentDispatchedSchema } from '#proto/parley/shipping/v1/events_pb.ts'
import type { QuoteRequest } from '#proto/parley/shipping/v1/quotes_pb.ts'
import { type Shipment, shipmentOf } from './shipment.ts'
import { insertShipment, type ShippingTables } from './store.ts'
import { priceParcel } from './tariff.ts'

const publish = publisher(shipping, shipmentEvents)

const reply = sender(shipping, fulfilmentReplies)

/** What follows from an order's events, where nobody leads its fulfilment. */
export const reactions = {
  OrderConfirmed: {
    ignores: ({ fulfilment }: OrderConfirmed) => fulfilment === Fulfilment.ORCHESTRATED,
    handle: async ({ orderId }: OrderConfirmed, tx: Tx<ShippingTables>) => void (await dispatch(orderId, tx)),
  },
}

/** What the leader of an order's fulfilment may tell shipping. */
export const commands = {
  DispatchParcel: replying(reply, async ({ orderId }: DispatchParcel, tx: Tx<ShippingTables>) => {
    const { trackingNumber } = await dispatch(orderId, tx)
    return done({ trackingNumber })
  }),
}

/** Sends an order's parcel off, once. That it left is news for everybody, whoever wanted it. */
async function dispatch(orderId: string, tx: Tx<ShippingTables>): Promise<Shipment> {
  const shipment = shipmentOf(orderId)
  if (await insertShipment(tx, orderId, shipment)) publish(tx, ShipmentDispatchedSchema, { orderId, ...shipment })
  return shipment
}

/** Says what a parcel costs. Nothing is written for it, so it needs no transaction. */
export async function quote({ country, weightGrams }: QuoteRequest) {
  const { minorUnits, daysMin, daysMax } = priceParcel(country, weightGrams)
  return { country, weightGrams, price: { currency: 'EUR', minorUnits: BigInt(minorUnits) }, daysMin, daysMax }
}
