/** What travels in the shop: events, tasks, questions and commands, each named once, for `mesh/shop.ts` and the services. */
import { queue } from '#graph/queue.ts'
import { topic } from '#graph/topic.ts'
import { webhook } from '#graph/webhook.ts'
import { OrderFactSchema as OrderFact, SalesWindowSchema as SalesWindow } from '#proto/parley/analytics/v1/facts_pb.ts'
import { ProductPutSchema as ProductPut } from '#proto/parley/catalog/v1/events_pb.ts'
import { CustomerRegisteredSchema as CustomerRegistered } from '#proto/parley/customers/v1/events_pb.ts'
import {
  ReleaseStockSchema as ReleaseStock,
  ReserveStockSchema as ReserveStock,
} from '#proto/parley/inventory/v1/commands_pb.ts'
import {
  StockRejectedSchema as StockRejected,
  StockReleasedSchema as StockReleased,
  StockReservedSchema as StockReserved,
} from '#proto/parley/inventory/v1/events_pb.ts'
import { NotifyConfirmedSchema as NotifyConfirmed } from '#proto/parley/notifications/v1/commands_pb.ts'
import { SendEmailSchema as SendEmail } from '#proto/parley/notifications/v1/tasks_pb.ts'
import {
  CancelOrderSchema as CancelOrder,
  ConfirmOrderSchema as ConfirmOrder,
} from '#proto/parley/orders/v1/commands_pb.ts'
import {
  OrderCancelledSchema as OrderCancelled,
  OrderConfirmedSchema as OrderConfirmed,
  OrderPlacedSchema as OrderPlaced,
  OrderShippedSchema as OrderShipped,
} from '#proto/parley/orders/v1/events_pb.ts'
import {
  ChargePaymentSchema as ChargePayment,
  RefundPaymentSchema as RefundPayment,
} from '#proto/parley/payments/v1/commands_pb.ts'
import {
  PaymentCapturedSchema as PaymentCaptured,
  PaymentDeclinedSchema as PaymentDeclined,
  PaymentRefundedSchema as PaymentRefunded,
} from '#proto/parley/payments/v1/events_pb.ts'
import { StepReplySchema as StepReply } from '#proto/parley/saga/v1/saga_pb.ts'
import { DispatchParcelSchema as DispatchParcel } from '#proto/parley/shipping/v1/commands_pb.ts'
import { ShipmentDispatchedSchema as ShipmentDispatched } from '#proto/parley/shipping/v1/events_pb.ts'
import { QuoteSchema as Quote, QuoteRequestSchema as QuoteRequest } from '#proto/parley/shipping/v1/quotes_pb.ts'

// What travels. A topic belongs to the service that publishes it.
export const orderEvents = topic('orders', {
  carries: [OrderPlaced, OrderConfirmed, OrderCancelled, OrderShipped],
  key: 'orderId',
})
export const stockEvents = topic('stock', { carries: [StockReserved, StockRejected, StockReleased], key: 'orderId' })
export const paymentEvents = topic('payments', {
  carries: [PaymentCaptured, PaymentDeclined, PaymentRefunded],
  key: 'orderId',
})
export const shipmentEvents = topic('shipments', { carries: [ShipmentDispatched], key: 'orderId' })
export const productEvents = topic('products', { carries: [ProductPut], key: 'productId' })
export const customerEvents = topic('customers', { carries: [CustomerRegistered], key: 'customerId' })
export const orderFacts = topic('order-facts', { carries: [OrderFact], key: 'orderId' })
export const sales = topic('sales', { carries: [SalesWindow], key: 'window' })
export const emails = queue('emails', {
  carries: [SendEmail],
  redelivery: { attempts: 10, backoff: { baseMs: 200, maxMs: 5_000 } },
})
export const quotes = queue('quotes', {
  carries: [QuoteRequest],
  replies: Quote,
  redelivery: { attempts: 3, backoff: { baseMs: 50, maxMs: 500 } },
  lengthMax: 10_000,
})

// What the fulfilment service tells others to do, and what they reply.
const patientRedelivery = { attempts: 12 }
export const orderCommands = queue('order-commands', { carries: [ConfirmOrder, CancelOrder] })
export const stockCommands = queue('stock-commands', { carries: [ReserveStock, ReleaseStock] })
export const paymentCommands = queue('payment-commands', {
  carries: [ChargePayment, RefundPayment],
  redelivery: patientRedelivery,
})
export const parcelCommands = queue('parcel-commands', { carries: [DispatchParcel] })
export const noticeCommands = queue('notice-commands', { carries: [NotifyConfirmed], redelivery: patientRedelivery })
export const fulfilmentReplies = queue('fulfilment-replies', { carries: [StepReply] })

// What subscribers outside are told.
export const orderWebhooks = webhook('order-updates', orderEvents, [
  OrderPlaced,
  OrderConfirmed,
  OrderShipped,
  OrderCancelled,
])
