import { rest } from '#graph/api.ts'
import { calls } from '#graph/call.ts'
import { type Edge, type ServiceNode, service } from '#graph/service.ts'
import { image } from '#graph/start.ts'
import { postgres } from '#graph/store.ts'
import { type SystemNode, system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { OrderPlacedSchema as OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'

/** Services of a tier call those of the next, each with less time than it has itself, so that the checks find nothing. */
const tiers = 3
const breaker = { failures: 5, openMs: 5_000 }

/**
 * A large system: `services` of them and three edges each: two calls with policies of their own (four in the first tier, none
 * in the last) and one subscription. Every tenth owns a topic, each a database. `deadlineMs` is that of the first call.
 */
export function largeSystem(services: number, deadlineMs = 1_000): SystemNode {
  const apis = Array.from({ length: services }, (_, index) =>
    rest(`api-${index}`, { list: 'GET /things', show: 'GET /things/{id}', create: 'PUT /things/{id}' }),
  )
  const topics = Array.from({ length: services / 10 }, (_, index) =>
    topic(`events-${index}`, { carries: [OrderPlaced], key: 'orderId' }),
  )
  const at = <T>(items: readonly T[], index: number): T => items[index % items.length] as T
  const callsOf = (index: number): Edge[] => {
    const width = Math.ceil(services / tiers)
    const tier = Math.floor(index / width)
    if (tier === tiers - 1) return []
    const below = (tier + 1) * width
    const callee = (step: number) => at(apis, below + ((index + step) % Math.min(width, services - below)))
    const policy = { deadlineMs: index === 0 ? deadlineMs : 1_000 - tier * 400, breaker }
    const two = [calls(callee(0), ['show', 'list'], policy), calls(callee(7), ['create'], policy)]
    return tier === 0 ? [...two, calls(callee(13), ['show'], policy), calls(callee(31), ['show'], policy)] : two
  }
  const nodes = Array.from({ length: services }, (_, index): ServiceNode => {
    const subscription = consumes(at(topics, index + 1), [OrderPlaced], { redelivery: { attempts: 12 } })
    return service(`service-${String(index).padStart(4, '0')}`, {
      exposes: [at(apis, index)],
      start: image(`registry.example/thing@sha256:${'a'.repeat(64)}`),
      edges: [...callsOf(index), subscription],
      ...(index % 10 === 0 ? { publishes: [at(topics, index / 10)] } : {}),
      owns: [postgres()],
    })
  })
  return system('large', { services: nodes, bounds: { syncDownstreamMax: 4 } })
}
