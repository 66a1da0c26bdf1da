import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { OrderPlacedSchema as OrderPlaced } from '#proto/parley/orders/v1/events_pb.ts'

const dayMs = 24 * 3_600_000

// Order holds within a customer; twelve partitions are twelve consumers at most.
const orderEvents = topic('orders', {
  carries: [OrderPlaced],
  key: 'customerId',
  partitions: 12,
  retentionMs: 90 * dayMs,
})

const orders = service('orders', { owns: [postgres()], publishes: [orderEvents] })

// Replayable: its tables can be dropped and built again from the start of the topic.
const analytics = service('analytics', {
  owns: [postgres()],
  edges: [consumes(orderEvents, [OrderPlaced], { concurrency: 6, replayable: true })],
})

export const example = system('example', { services: [orders, analytics] })
