import type { DescMessage } from '@bufbuild/protobuf'
import { resolveConsume, resolveRedelivery } from '#graph/defaults.ts'
import type { Environment } from '#graph/environment.ts'
import { deadLetterQueue, deadLetterTopic, type RetryQueue, retryQueues } from '#graph/names.ts'
import type { QueueNode } from '#graph/queue.ts'
import type { SystemNode } from '#graph/system.ts'
import { sortedBy } from './freeze.ts'
import { edgesOf } from './links.ts'
import type { PlannedQueue, PlannedTopic, PlannedWebhook, Subscription } from './plan.ts'

const dayMs = 24 * 3_600_000
const retentionDefaultMs = 7 * dayMs
/** Dead letters outlive the events, so that a week's holiday loses none. */
const deadLetterRetentionMs = 30 * dayMs

/** The topics that services own, and the dead letters that follow from subscriptions. */
export function deriveTopics(system: SystemNode, env: Environment): PlannedTopic[] {
  const durable = { replication: env.topicReplication, minInSyncReplicas: env.minInSyncReplicas }
  const events = system.services.flatMap((service) =>
    (service.spec.publishes ?? []).map(
      (topic): PlannedTopic => ({
        name: topic.name,
        kind: 'events',
        owner: service.name,
        partitions: topic.partitions ?? env.topicPartitions,
        ...durable,
        retentionMs: topic.retentionMs ?? retentionDefaultMs,
        messages: names(topic.carries),
        key: topic.key,
      }),
    ),
  )
  const deadLetters = deriveSubscriptions(system).flatMap((subscription): PlannedTopic[] => {
    if (!subscription.deadLetterTopic) return []
    const source = events.find((topic) => topic.name === subscription.topic)
    return [
      {
        name: subscription.deadLetterTopic,
        kind: 'deadLetter',
        owner: subscription.service,
        partitions: source?.partitions ?? env.topicPartitions,
        ...durable,
        retentionMs: deadLetterRetentionMs,
        messages: [],
        key: source?.key ?? null,
      },
    ]
  })
  return sortedBy([...events, ...deadLetters], (topic) => topic.name)
}

/** One subscription a group and topic. */
export function deriveSubscriptions(system: SystemNode): Subscription[] {
  const subscriptions = system.services.flatMap((service) =>
    edgesOf(service, 'consumes').map((edge): Subscription => {
      const policy = resolveConsume(service.name, edge.policy)
      return {
        service: service.name,
        topic: edge.topic.name,
        group: policy.group,
        messages: names(edge.messages),
        concurrency: policy.concurrency,
        gatherMs: policy.gatherMs,
        ...policy.redelivery,
        deadLetterTopic: policy.deadLetter ? deadLetterTopic(edge.topic.name, policy.group) : null,
        idempotent: policy.idempotent,
        replayable: policy.replayable,
      }
    }),
  )
  return sortedBy(subscriptions, (item) => `${item.topic} ${item.group}`)
}

/** Every queue that somebody works, sends to or asks through. */
export function deriveQueues(system: SystemNode): PlannedQueue[] {
  const queues = new Map<string, QueueNode>()
  const users = system.services.flatMap((service) =>
    [...edgesOf(service, 'sends'), ...edgesOf(service, 'works'), ...edgesOf(service, 'asks')].map((edge) => {
      queues.set(edge.queue.name, edge.queue)
      return { service: service.name, edge }
    }),
  )
  return sortedBy([...queues.values()], (queue) => queue.name).map((queue) => plannedQueue(queue, users))
}

/** What each service delivers to subscribers outside. */
export function deriveWebhooks(system: SystemNode): PlannedWebhook[] {
  const webhooks = system.services.flatMap((service) =>
    edgesOf(service, 'delivers').map(({ webhook: { kind: _kind, topic, messages, ...rest } }) => ({
      ...rest,
      service: service.name,
      topic: topic.name,
      messages: names(messages),
    })),
  )
  return sortedBy(webhooks, (webhook) => webhook.name)
}

/** The queues in which tasks of a queue wait for their next attempt, the shortest wait first. */
export function retriesOf({ name, deliveryLimit: attempts, backoff }: PlannedQueue): readonly RetryQueue[] {
  return retryQueues(name, { attempts, backoff })
}

type QueueEdge = ReturnType<typeof edgesOf<'sends' | 'works' | 'asks'>>[number]

function plannedQueue(queue: QueueNode, users: readonly { service: string; edge: QueueEdge }[]): PlannedQueue {
  const mine = users.filter(({ edge }) => edge.queue.name === queue.name)
  const worker = mine.find(({ edge }) => edge.kind === 'works')
  const { attempts, backoff } = resolveRedelivery(queue.redelivery)
  return {
    name: queue.name,
    worker: worker?.service ?? '',
    senders: mine
      .filter(({ edge }) => edge.kind === 'sends')
      .map(({ service }) => service)
      .sort(),
    askers: sortedBy(
      mine.flatMap(({ service, edge }) =>
        edge.kind === 'asks'
          ? [{ service, deadlineMs: edge.policy.deadlineMs, inFlightMax: edge.policy.inFlightMax ?? 100 }]
          : [],
      ),
      (asker) => asker.service,
    ),
    messages: names(queue.carries),
    replies: queue.replies?.typeName ?? null,
    prefetch: worker?.edge.kind === 'works' ? (worker.edge.policy.prefetch ?? 10) : 10,
    deliveryLimit: attempts,
    backoff,
    lengthMax: queue.lengthMax ?? 100_000,
    deadLetterQueue: queue.deadLetter ? deadLetterQueue(queue.name) : null,
  }
}

function names(messages: readonly DescMessage[]): string[] {
  return messages.map((message) => message.typeName)
}
