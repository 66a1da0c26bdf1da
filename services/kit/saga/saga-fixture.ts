/** A saga of four services, for the tests of its leader and for the processes that they kill. */
import { queue, sends, works } from '#graph/queue.ts'
import { command, orchestration } from '#graph/saga.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { ReleaseStockSchema, ReserveStockSchema } from '#proto/parley/inventory/v1/commands_pb.ts'
import { CancelOrderSchema, ConfirmOrderSchema } from '#proto/parley/orders/v1/commands_pb.ts'
import { type OrderPlaced, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { ChargePaymentSchema, RefundPaymentSchema } from '#proto/parley/payments/v1/commands_pb.ts'
import { type StepReply, StepReplySchema } from '#proto/parley/saga/v1/saga_pb.ts'
import { DispatchParcelSchema } from '#proto/parley/shipping/v1/commands_pb.ts'
import { testApp } from '../app/app-fixture.ts'
import { decodeEnvelope, encodeEnvelope } from '../messaging/envelope.ts'
import { type Handled, handleOnce, type Transactions } from '../messaging/handling.ts'
import type { Log } from '../telemetry/log.ts'
import { type About, type Orchestrator, orchestrator } from './orchestrator.ts'

const orderEvents = topic('orders', { carries: [OrderPlacedSchema], key: 'orderId' })
const orderCommands = queue('order-commands', { carries: [ConfirmOrderSchema, CancelOrderSchema] })
const stockCommands = queue('stock-commands', { carries: [ReserveStockSchema, ReleaseStockSchema] })
const paymentCommands = queue('payment-commands', { carries: [ChargePaymentSchema, RefundPaymentSchema] })
const parcelCommands = queue('parcel-commands', { carries: [DispatchParcelSchema] })
const replies = queue('replies', { carries: [StepReplySchema] })

const orders = service('orders', { edges: [works(orderCommands), sends(replies)] })
const stock = service('stock', { edges: [works(stockCommands), sends(replies)] })
const payments = service('payments', { edges: [works(paymentCommands), sends(replies)] })
const shipping = service('shipping', { edges: [works(parcelCommands), sends(replies)] })

export const leader = service('leader', {
  owns: [postgres()],
  edges: [
    consumes(orderEvents, [OrderPlacedSchema]),
    sends(orderCommands),
    sends(stockCommands),
    sends(paymentCommands),
    sends(parcelCommands),
    works(replies),
  ],
})

export const saga = orchestration('fulfil', {
  by: leader,
  replies,
  timeoutMs: 10_000,
  steps: [
    command('place', orders, { on: OrderPlacedSchema, via: orderCommands, compensation: CancelOrderSchema }),
    command('reserve', stock, { sends: ReserveStockSchema, via: stockCommands, compensation: ReleaseStockSchema }),
    command('charge', payments, {
      sends: ChargePaymentSchema,
      via: paymentCommands,
      compensation: RefundPaymentSchema,
      alongside: true,
      replyWithinMs: 200,
    }),
    command('confirm', orders, { sends: ConfirmOrderSchema, via: orderCommands }),
    command('ship', shipping, { sends: DispatchParcelSchema, via: parcelCommands }),
  ],
  pointOfNoReturn: 'confirm',
})

/** The leader's sagas on a database. */
export function sagasOn(database: Transactions, log?: Log): Orchestrator<OrderPlaced> {
  const named = ({ sagaId: orderId }: About<OrderPlaced>) => ({ orderId })
  return orchestrator(testApp(leader, {}, log), saga, database, OrderPlacedSchema, {
    place: { undo: ({ sagaId: orderId, reason }: About<OrderPlaced>) => ({ orderId, reason }) },
    reserve: { act: named, undo: named },
    charge: { act: named, undo: named },
    confirm: { act: named },
    ship: { act: ({ sagaId, results }: About<OrderPlaced>) => ({ orderId: `${sagaId}/${results.reserve?.place}` }) },
  })
}

/** Hands the leader a reply as its worker would: the same `id` for each delivery of one message. */
export function deliverReply(
  database: Transactions,
  sagas: Pick<Orchestrator<never>, 'replies'>,
  reply: StepReply,
  id: string,
): Promise<Handled> {
  const handler = sagas.replies.handlers.get(StepReplySchema.typeName)
  const about = { id, type: StepReplySchema.typeName, source: '/services/test', time: new Date() }
  const headers = encodeEnvelope({ ...about, subject: '', correlationId: '', dataVersion: '1' }, 'amqp')
  const envelope = decodeEnvelope(headers, 'amqp')
  if (!handler || !envelope.ok) throw new Error('the leader takes replies')
  const place = { system: 'rabbitmq', consumer: 'queue replies', destination: 'replies', key: '' } as const
  const delivery = { ...place, headers, attributes: {}, envelope: envelope.value, message: reply, handler }
  return handleOnce(database, delivery, 1, new AbortController().signal)
}
