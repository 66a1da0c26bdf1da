import { createRegistry, type Message, toJson } from '@bufbuild/protobuf'
import type { Operation, Way } from '#kit/app/operations.ts'
import { notFound } from '#kit/errors.ts'
import type { Database } from '#kit/store/database.ts'
import { file_parley_orders_v1_events } from '#proto/parley/orders/v1/events_pb.ts'
import { OrderSchema } from '#proto/parley/orders/v1/orders_pb.ts'
import { isName } from './request.ts'
import { events, type OrdersTables } from './store.ts'
import { momentOf, showOrder } from './view.ts'

const registry = createRegistry(file_parley_orders_v1_events)

/** The ways to ask what was known of an order. */
export const auditWays: readonly Way[] = [
  { verb: 'GET', path: 'ORDER', what: 'an order with all its events; at=TIME (RFC 3339) as it was known then' },
]

/**
 * The audit trail: an order and the events that it follows from, or what was known of both at a time. `not-found` where
 * nothing was known of it.
 */
export function auditOperation(database: Database<OrdersTables>): Operation {
  return async ({ verb, path, query }) => {
    const [orderId = '', ...rest] = path
    if (verb !== 'GET' || !isName(orderId) || rest.length > 0) throw notFound('Ask GET /audit/ORDER.')
    const at = query.get('at') ?? ''
    const order = await showOrder(database, orderId, at)
    const known = await events.read(database, orderId, at === '' ? {} : { asOf: momentOf(at) })
    return {
      order: toJson(OrderSchema, order),
      events: known.events.map(({ version, at: time, type, correlationId, message }) => ({
        version,
        at: time.toISOString(),
        type,
        correlationId,
        message: json(message),
      })),
    }
  }
}

function json(message: Message): unknown {
  const descriptor = registry.getMessage(message.$typeName)
  return descriptor ? toJson(descriptor, message) : null
}
