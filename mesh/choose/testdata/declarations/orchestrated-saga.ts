import { queue, sends, works } from '#graph/queue.ts'
import { command, orchestration } from '#graph/saga.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import {
  ReleaseStockSchema as ReleaseStock,
  ReserveStockSchema as ReserveStock,
} from '#proto/parley/inventory/v1/commands_pb.ts'
import { NotifyConfirmedSchema as NotifyConfirmed } from '#proto/parley/notifications/v1/commands_pb.ts'
import {
  CancelOrderSchema as CancelOrder,
  ConfirmOrderSchema as ConfirmOrder,
} from '#proto/parley/orders/v1/commands_pb.ts'
import { OrderPlacedSchema as OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'
import { StepReplySchema as StepReply } from '#proto/parley/saga/v1/saga_pb.ts'
import { DispatchParcelSchema as DispatchParcel } from '#proto/parley/shipping/v1/commands_pb.ts'

const orderEvents = topic('orders', { carries: [OrderPlaced], key: 'orderId' })
const orderCommands = queue('order-commands', { carries: [ConfirmOrder, CancelOrder] })
const stockCommands = queue('stock-commands', { carries: [ReserveStock, ReleaseStock] })
const parcelCommands = queue('parcel-commands', { carries: [DispatchParcel] })
const noticeCommands = queue('notice-commands', { carries: [NotifyConfirmed] })
const replies = queue('replies', { carries: [StepReply] })

const orders = service('orders', {
  owns: [postgres()],
  publishes: [orderEvents],
  edges: [works(orderCommands), sends(replies)],
})
const stock = service('stock', { owns: [postgres()], edges: [works(stockCommands), sends(replies)] })
const parcels = service('parcels', { owns: [postgres()], edges: [works(parcelCommands), sends(replies)] })
const notices = service('notices', { owns: [postgres()], edges: [works(noticeCommands), sends(replies)] })

const fulfilment = service('fulfilment', {
  owns: [postgres()],
  edges: [
    consumes(orderEvents, [OrderPlaced]),
    sends(orderCommands),
    sends(stockCommands),
    sends(parcelCommands),
    sends(noticeCommands),
    works(replies),
  ],
})

const fulfil = orchestration('fulfil', {
  by: fulfilment,
  replies,
  steps: [
    command('place', orders, { on: OrderPlaced, via: orderCommands, compensation: CancelOrder }),
    command('reserve', stock, { sends: ReserveStock, via: stockCommands, compensation: ReleaseStock }),
    command('confirm', orders, { sends: ConfirmOrder, via: orderCommands }),
    command('ship', parcels, { sends: DispatchParcel, via: parcelCommands }),
    command('notify', notices, { sends: NotifyConfirmed, via: noticeCommands, alongside: true }),
  ],
  pointOfNoReturn: 'confirm',
})

export const example = system('example', {
  services: [fulfilment, orders, stock, parcels, notices],
  sagas: [fulfil],
})
