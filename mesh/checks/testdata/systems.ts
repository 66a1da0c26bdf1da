/** The smallest words for systems in tests of the rules. */
import { type RestApi, type Route, rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { exposure } from '#graph/exposure.ts'
import { external } from '#graph/external.ts'
import type { CallPolicy } from '#graph/policy.ts'
import { queue } from '#graph/queue.ts'
import { type ServiceNode, type ServiceSpec, service } from '#graph/service.ts'
import { type SystemNode, system } from '#graph/system.ts'
import { topic } from '#graph/topic.ts'
import type { ApiVersion } from '#graph/version.ts'
import { StockRejectedSchema, StockReservedSchema } from '#proto/parley/inventory/v1/events_pb.ts'
import { SendEmailSchema } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderCancelledSchema, OrderConfirmedSchema, OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { ShipmentDispatchedSchema } from '#proto/parley/shipping/v1/events_pb.ts'

/** A system that a rule refuses, and its nearest neighbour that it does not. */
export type Case = {
  readonly code: string
  /** What the pair is about. */
  readonly name: string
  readonly breaks: SystemNode
  readonly holds: SystemNode
  /** What every finding of the broken system says, as one text of path, message, cost and mend. */
  readonly says: readonly (string | RegExp)[]
  /** Codes of other rules that cannot be kept out of the broken system. */
  readonly also?: readonly string[]
}

/** Declares a case. */
export function breaking(
  code: string,
  name: string,
  spec: {
    breaks: SystemNode
    holds: SystemNode
    says: readonly (string | RegExp)[]
    also?: readonly string[]
  },
): Case {
  return { code, name, ...spec }
}

/** An interface with a route to read and one to write. */
export function api(name: string): RestApi<{ read: Route; write: Route }> {
  return rest(`${name}-api`, { read: `GET /${name}`, write: `POST /${name}` })
}

/** A system whose only interface has versions, and is open to the outside. */
export function versioned(
  versions: Readonly<Record<string, ApiVersion>>,
  routes: Readonly<Record<string, Route>> = { read: 'GET /api/{version}/a', write: 'POST /api/{version}/a' },
): SystemNode {
  const api = rest('a-api', routes, { versions })
  const node = service('a', { exposes: [api] })
  return tiny([node], { exposures: [exposure('front', node, api)] })
}

/** A system with the name of most tests. */
export function tiny(
  services: readonly ServiceNode[],
  more: Omit<Parameters<typeof system>[1], 'services'> = {},
): SystemNode {
  return system('tiny', { services, ...more })
}

/** Services that call one another in a row, each giving up a little before the one before it. */
export function chain(names: readonly string[], policy: CallPolicy = {}, last: ServiceSpec = {}): ServiceNode[] {
  return names.map((name, index) => {
    const next = names[index + 1]
    const edges = next ? [calls(api(next), ['read'], { deadlineMs: 900 - index * 100, ...policy })] : []
    return service(name, { exposes: [api(name)], edges, ...(next ? {} : last) })
  })
}

/** A service that exposes its interface and has these edges. */
export function answering(name: string, edges: ServiceSpec['edges'] = []): ServiceNode {
  return service(name, { exposes: [api(name)], edges })
}

/** An external with one route that may be repeated. */
export function outside(name: string, expectedLatencyMs: number, host = `${name}.example`) {
  return external(name, { host, port: 443, expectedLatencyMs, routes: { put: 'PUT /things/{id}' } })
}

export const placed = OrderPlacedSchema
export const confirmed = OrderConfirmedSchema
export const cancelled = OrderCancelledSchema
export const reserved = StockReservedSchema
export const rejected = StockRejectedSchema
export const dispatched = ShipmentDispatchedSchema
export const email = SendEmailSchema

export const orderEvents = topic('orders', { carries: [placed, confirmed, cancelled], key: 'orderId' })
export const stockEvents = topic('stock', { carries: [reserved, rejected], key: 'orderId' })
export const shipmentEvents = topic('shipments', { carries: [dispatched], key: 'orderId' })
export const emails = queue('emails', { carries: [email] })

/** A service that owns `orderEvents`. */
export const orders = service('orders', { publishes: [orderEvents] })
