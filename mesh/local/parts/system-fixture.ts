import { asks, queue, sends, works } from '#graph/queue.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { system } from '#graph/system.ts'
import { consumes, topic } from '#graph/topic.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { SendEmailSchema as Task } from '#proto/parley/notifications/v1/tasks_pb.ts'
import { OrderPlacedSchema as Event } from '#proto/parley/orders/v1/events_pb.ts'

const things = topic('things', { carries: [Event], key: 'orderId', partitions: 2 })
const jobs = queue('jobs', {
  carries: [Task],
  redelivery: { attempts: 3, backoff: { baseMs: 200, maxMs: 800 } },
  lengthMax: 100,
})
const quotes = queue('quotes', { carries: [Task], replies: Task })

/**
 * Three services that between them use everything once: `alpha` writes, sends and asks; `beta` reads, works and answers;
 * `gamma` has an identity, a database and nothing else.
 */
export const fixturePlan: Plan = derive(
  system('parts', {
    services: [
      service('alpha', {
        owns: [postgres({ connectionsMax: 3 })],
        publishes: [things],
        edges: [sends(jobs), asks(quotes, { deadlineMs: 1_000 })],
      }),
      service('beta', { owns: [postgres()], edges: [consumes(things, [Event]), works(jobs), works(quotes)] }),
      service('gamma', { owns: [postgres()] }),
    ],
  }),
  'local',
)
