import { deadLetterQueue, replyExchange, replyQueuePrefix } from '#graph/names.ts'
import { retriesOf } from '#plan/messaging.ts'
import type { PlannedQueue } from '#plan/plan.ts'
import { type ServiceSlice, usesQueues } from '#plan/slices.ts'
import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart } from '../component.ts'
import { objectNameOf, objectOf } from './objects.ts'

/**
 * A service's user with exactly what it may do, and the queues that it works, with their retry and dead-letter queues:
 * the topology that `mesh/local/parts/rabbitmq-definitions.ts` draws, and a test holds the two against each other.
 */
export const rabbitmqTopology: ServicePart = {
  wave: 'data',
  render: (site, slice) => (usesQueues(slice) ? [...access(site, slice), ...slice.works.flatMap(topology(site))] : []),
}

/** An object of the topology operator, about this system's cluster. */
export function topologyObject(site: Site, kind: string, name: string, spec: object): Manifest {
  return objectOf(site, {
    apiVersion: 'rabbitmq.com/v1beta1',
    kind,
    name: objectNameOf(name),
    component: kind === 'User' || kind === 'Permission' ? 'access' : 'queue',
    fields: { spec: { ...spec, rabbitmqClusterReference: { name: dataNames(site).rabbitmq.cluster } } },
  })
}

/** What a user may do, as regular expressions over the names of queues and exchanges. */
function permissionsOf(slice: ServiceSlice): { configure: string; write: string; read: string } {
  const reach = [
    ...slice.sends.map((queue) => ({ queue, ...maySend(queue) })),
    ...slice.works.map((queue) => ({ queue, ...mayWork(queue) })),
    ...slice.asks.map((queue) => ({ queue, ...mayAsk(queue, slice.service.name) })),
  ].sort((a, b) => (a.queue.name === b.queue.name ? 0 : a.queue.name < b.queue.name ? -1 : 1))
  const all = (kind: keyof Reach) => exactly([...new Set(reach.flatMap((one) => one[kind]))])
  return { configure: all('configure'), write: all('write'), read: all('read') }
}

type Reach = {
  readonly configure: readonly string[]
  readonly write: readonly string[]
  readonly read: readonly string[]
}

function maySend({ name }: PlannedQueue): Reach {
  return { configure: [], write: [escaped(name)], read: [] }
}

function mayWork(queue: PlannedQueue): Reach {
  const { name, deadLetterQueue: dead, replies } = queue
  const retries = retriesOf(queue).map((retry) => escaped(retry.name))
  const dying = dead ? [escaped(dead)] : []
  const answers = replies ? [escaped(replyExchange(name))] : []
  // It fetches its own dead letters into its database; what failed waits in the retry queues.
  return { configure: [], write: [...retries, ...dying, ...answers], read: [escaped(name), ...dying] }
}

function mayAsk({ name }: PlannedQueue, service: string): Reach {
  const replies = `${escaped(replyQueuePrefix(service))}.*`
  // To bind a queue is to write the queue and to read the exchange.
  return { configure: [replies], write: [escaped(name), replies], read: [escaped(replyExchange(name)), replies] }
}

function access(site: Site, slice: ServiceSlice): readonly Manifest[] {
  const { name } = slice.service
  return [
    topologyObject(site, 'User', name, { tags: [] }),
    topologyObject(site, 'Permission', name, {
      vhost: site.system,
      userReference: { name },
      permissions: permissionsOf(slice),
    }),
  ]
}

function topology(site: Site): (queue: PlannedQueue) => readonly Manifest[] {
  const lasting = { vhost: site.system, durable: true, autoDelete: false }
  const exchange = (name: string, type: 'fanout' | 'direct') =>
    topologyObject(site, 'Exchange', name, { name, type, ...lasting })
  return (queue) => [
    ...(queue.replies === null ? [] : [exchange(replyExchange(queue.name), 'direct')]),
    ...policiesOf(queue).flatMap(({ name, definition }) => [
      exchange(name, 'fanout'),
      topologyObject(site, 'Queue', name, {
        ...{ name, type: 'quorum', ...lasting },
        deletionPolicy: site.environment === 'production' ? 'retain' : 'delete',
      }),
      topologyObject(site, 'Binding', name, {
        ...{ source: name, destination: name, destinationType: 'queue', routingKey: name, vhost: site.system },
      }),
      // All limits are in policies: arguments of a queue can never be changed, a policy can.
      topologyObject(site, 'Policy', name, {
        ...{ name, vhost: site.system, pattern: exactly([escaped(name)]), applyTo: 'queues', priority: 1, definition },
      }),
    ]),
  ]
}

type QueuePolicy = { readonly name: string; readonly definition: Readonly<Record<string, string | number>> }

function policiesOf(queue: PlannedQueue): readonly QueuePolicy[] {
  const { name, deadLetterQueue: dead, lengthMax, deliveryLimit } = queue
  const bounded = { 'max-length': lengthMax, overflow: 'reject-publish' }
  // The broker keeps a message until its dead letter is stored; only with `reject-publish` can it.
  const deadTo = (to: string) => ({ 'dead-letter-exchange': to, 'dead-letter-strategy': 'at-least-once' })
  return [
    // The limit counts redeliveries; the plan counts deliveries.
    { name, definition: { ...bounded, 'delivery-limit': deliveryLimit - 1, ...(dead ? deadTo(dead) : {}) } },
    // A task's own expiration, which the worker draws, is at most this.
    ...retriesOf(queue).map((retry) => ({
      name: retry.name,
      definition: { ...bounded, 'message-ttl': retry.waitMs, ...deadTo(name) },
    })),
    // RabbitMQ 4 drops what was delivered more than 20 times, and a dead letter has nowhere else to go.
    ...(dead ? [{ name: deadLetterQueue(name), definition: { ...bounded, 'delivery-limit': 1_000_000 } }] : []),
  ]
}

/** A pattern for just these; for nothing where there are none. RabbitMQ searches with it, so it needs both ends. */
function exactly(patterns: readonly string[]): string {
  return patterns.length === 0 ? '^$' : `^(${patterns.join('|')})$`
}

function escaped(name: string): string {
  return name.replaceAll('.', '\\.')
}
