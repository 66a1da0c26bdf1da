/** The shop: who talks to whom, what is open to the outside, and what must end in the same state. What they say to each other is in `shop/`. */
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { reaches } from '#graph/external.ts'
import { asks, sends, works } from '#graph/queue.ts'
import { choreography, command, orchestration, step } from '#graph/saga.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes } from '#graph/topic.ts'
import { delivers } from '#graph/webhook.ts'
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
import { InventoryService } from '#proto/parley/inventory/v1/inventory_pb.ts'
import { NotifyConfirmedSchema as NotifyConfirmed } from '#proto/parley/notifications/v1/commands_pb.ts'
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
import { OrderService } from '#proto/parley/orders/v1/orders_pb.ts'
import {
  ChargePaymentSchema as ChargePayment,
  RefundPaymentSchema as RefundPayment,
} from '#proto/parley/payments/v1/commands_pb.ts'
import {
  PaymentCapturedSchema as PaymentCaptured,
  PaymentDeclinedSchema as PaymentDeclined,
  PaymentRefundedSchema as PaymentRefunded,
} from '#proto/parley/payments/v1/events_pb.ts'
import { DispatchParcelSchema as DispatchParcel } from '#proto/parley/shipping/v1/commands_pb.ts'
import { ShipmentDispatchedSchema as ShipmentDispatched } from '#proto/parley/shipping/v1/events_pb.ts'
import { bank, catalogApi, customersApi, mail, ordersApi, storefrontApi, webhooksApi } from './shop/interfaces.ts'
import {
  customerEvents,
  emails,
  fulfilmentReplies,
  noticeCommands,
  orderCommands,
  orderEvents,
  orderFacts,
  orderWebhooks,
  parcelCommands,
  paymentCommands,
  paymentEvents,
  productEvents,
  quotes,
  sales,
  shipmentEvents,
  stockCommands,
  stockEvents,
} from './shop/messages.ts'

// What edges have in common. Messages are tried again until a breaker like this has closed; only an outage of minutes makes dead letters.
const breaker = { failures: 5, openMs: 5_000 }
// Live updates hold what they use for minutes: room for them, and for single calls beside them.
const toOrders = { breaker, limits: { concurrentMax: 500, pendingMax: 100 } }
const toCatalog = { deadlineMs: 200, retry: { attempts: 2, perTryTimeoutMs: 90 }, breaker, fallback: true }

// Nobody notices whether an e-mail or a webhook leaves a tenth of a second later, and so one fetch brings the events of several orders.
const unhurried = { gatherMs: 100 }

// Who talks to whom. Nothing else is possible.
export const gateway = service('gateway', {
  exposes: [ordersApi],
  edges: [
    calls(OrderService, ['createOrder'], {
      deadlineMs: 1_000,
      retry: { attempts: 2, perTryTimeoutMs: 450 },
      ...toOrders,
    }),
    calls(OrderService, ['getOrder', 'getOrderDetail'], { deadlineMs: 500, ...toOrders }),
    calls(OrderService, ['listOrders'], { deadlineMs: 1_000, ...toOrders }),
    calls(OrderService, ['streamOrderUpdates'], { deadlineMs: 890_000, idleMs: 60_000, ...toOrders }),
    asks(quotes, { deadlineMs: 2_000, inFlightMax: 200 }),
    calls(catalogApi, ['listProducts', 'getProduct'], toCatalog),
  ],
})

export const storefront = service('storefront', {
  exposes: [storefrontApi],
  owns: [postgres()],
  edges: [
    calls(OrderService, ['batchGetOrderDetails', 'listRecentOrders', 'getOrder'], { deadlineMs: 500, ...toOrders }),
    calls(OrderService, ['streamOrderUpdates'], { deadlineMs: 890_000, idleMs: 60_000, ...toOrders }),
    calls(catalogApi, ['listProducts'], toCatalog),
    consumes(customerEvents, [CustomerRegistered], { redelivery: { attempts: 8 } }),
  ],
})

export const catalog = service('catalog', {
  exposes: [catalogApi],
  owns: [postgres()],
  publishes: [productEvents],
})

export const customers = service('customers', {
  exposes: [customersApi],
  owns: [postgres()],
  publishes: [customerEvents],
})

export const orders = service('orders', {
  exposes: [OrderService],
  owns: [postgres()],
  publishes: [orderEvents],
  edges: [
    calls(InventoryService, ['checkStock'], {
      deadlineMs: 300,
      breaker: { failures: 5, openMs: 30_000 },
      fallback: true,
    }),
    consumes(stockEvents, [StockRejected]),
    consumes(paymentEvents, [PaymentCaptured, PaymentDeclined]),
    consumes(shipmentEvents, [ShipmentDispatched]),
    consumes(productEvents, [ProductPut]),
    works(orderCommands),
    sends(fulfilmentReplies),
  ],
})

export const inventory = service('inventory', {
  exposes: [InventoryService],
  owns: [postgres()],
  publishes: [stockEvents],
  edges: [consumes(orderEvents, [OrderPlaced, OrderCancelled]), works(stockCommands), sends(fulfilmentReplies)],
})

export const payments = service('payments', {
  owns: [postgres()],
  publishes: [paymentEvents],
  edges: [
    consumes(stockEvents, [StockReserved], { redelivery: { attempts: 12 } }),
    consumes(orderEvents, [OrderCancelled], { redelivery: { attempts: 12 } }),
    reaches(bank, { breaker }),
    works(paymentCommands),
    sends(fulfilmentReplies),
  ],
})

export const shipping = service('shipping', {
  owns: [postgres()],
  publishes: [shipmentEvents],
  edges: [
    consumes(orderEvents, [OrderConfirmed]),
    works(quotes, { prefetch: 20 }),
    works(parcelCommands),
    sends(fulfilmentReplies),
  ],
})

export const notifications = service('notifications', {
  owns: [postgres()],
  edges: [
    consumes(orderEvents, [OrderConfirmed, OrderCancelled, OrderShipped], unhurried),
    consumes(customerEvents, [CustomerRegistered], unhurried),
    sends(emails),
    works(emails, { prefetch: 10 }),
    reaches(mail, { breaker }),
    works(noticeCommands),
    sends(fulfilmentReplies),
  ],
})

export const fulfilment = service('fulfilment', {
  owns: [postgres()],
  edges: [
    consumes(orderEvents, [OrderPlaced]),
    sends(orderCommands),
    sends(stockCommands),
    sends(paymentCommands),
    sends(parcelCommands),
    sends(noticeCommands),
    works(fulfilmentReplies),
  ],
})

export const webhooks = service('webhooks', {
  exposes: [webhooksApi],
  owns: [postgres()],
  edges: [
    consumes(orderEvents, [OrderPlaced, OrderConfirmed, OrderShipped, OrderCancelled], unhurried),
    delivers(orderWebhooks),
  ],
})

export const analytics = service('analytics', {
  owns: [postgres()],
  publishes: [orderFacts, sales],
  edges: [
    consumes(orderEvents, [OrderPlaced, OrderConfirmed, OrderCancelled, OrderShipped], { replayable: true }),
    consumes(paymentEvents, [PaymentCaptured, PaymentRefunded], { replayable: true }),
    consumes(shipmentEvents, [ShipmentDispatched], { replayable: true }),
  ],
})

// What is open to the outside.
export const shopExposure = exposure('shop', gateway, ordersApi, {
  deadlineMs: 3_000,
  bodyBytesMax: 65_536,
  rateLimit: { perSecond: 200, burst: 400, perClient: { perSecond: 150, burst: 300 } },
})
export const customersExposure = exposure('shop-customers', customers, customersApi, {
  deadlineMs: 3_000,
  bodyBytesMax: 4_096,
  rateLimit: { perSecond: 20, burst: 40 },
})
export const storefrontExposure = exposure('shop-storefront', storefront, storefrontApi, {
  client: 'browser',
  deadlineMs: 3_000,
  bodyBytesMax: 65_536,
})
// Pages follow an order live; machines of partners hand orders in and read them in bulk.
export const shopTracking = exposure('shop-tracking', orders, OrderService, {
  client: 'browser',
  grpcWeb: true,
  methods: ['getOrder', 'streamOrderUpdates'],
  origins: ['https://shop.example', 'http://localhost:3000'],
  deadlineMs: 500,
  streamDeadlineMs: 890_000,
  bodyBytesMax: 4_096,
})
export const shopPartners = exposure('shop-partners', orders, OrderService, {
  methods: ['listOrders', 'uploadOrders', 'processOrders'],
  rateLimit: { perSecond: 20, burst: 40 },
  streamDeadlineMs: 60_000,
})
export const webhooksExposure = exposure('shop-webhooks', webhooks, webhooksApi, {
  deadlineMs: 5_000,
  bodyBytesMax: 16_384,
  rateLimit: { perSecond: 50, burst: 100 },
})

// What must end in the same state everywhere.
export const checkout = choreography('checkout', {
  timeoutMs: 45_000,
  steps: [
    step('place', orders, {
      emits: OrderPlaced,
      compensation: { on: [StockRejected, PaymentDeclined], emits: OrderCancelled },
    }),
    step('reserve', inventory, {
      on: OrderPlaced,
      emits: StockReserved,
      refuses: StockRejected,
      compensation: { on: OrderCancelled, emits: StockReleased },
    }),
    step('charge', payments, {
      on: StockReserved,
      emits: PaymentCaptured,
      refuses: PaymentDeclined,
      compensation: { on: OrderCancelled, emits: PaymentRefunded },
    }),
    step('confirm', orders, { on: PaymentCaptured, emits: OrderConfirmed }),
  ],
  pointOfNoReturn: 'confirm',
})

// The same by a leader, for orders that ask for it: it is the one to know how far each of them is.
export const fulfil = orchestration('fulfil', {
  by: fulfilment,
  replies: fulfilmentReplies,
  timeoutMs: 45_000,
  steps: [
    command('place', orders, { on: OrderPlaced, via: orderCommands, compensation: CancelOrder }),
    command('reserve', inventory, { sends: ReserveStock, via: stockCommands, compensation: ReleaseStock }),
    command('charge', payments, { sends: ChargePayment, via: paymentCommands, compensation: RefundPayment }),
    command('confirm', orders, { sends: ConfirmOrder, via: orderCommands }),
    command('ship', shipping, { sends: DispatchParcel, via: parcelCommands }),
    command('notify', notifications, { sends: NotifyConfirmed, via: noticeCommands, alongside: true }),
  ],
  pointOfNoReturn: 'confirm',
})

export const shop = system('shop', {
  services: [
    gateway,
    storefront,
    catalog,
    customers,
    orders,
    inventory,
    payments,
    shipping,
    notifications,
    fulfilment,
    webhooks,
    analytics,
  ],
  exposures: [shopExposure, customersExposure, storefrontExposure, shopPartners, shopTracking, webhooksExposure],
  sagas: [checkout, fulfil],
})
