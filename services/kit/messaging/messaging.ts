import { deadLetterTopic, replyExchange } from '#graph/names.ts'
import type { ServiceNode } from '#graph/service.ts'
import type { Closable } from '../app/admin.ts'
import type { Configuration } from '../app/configuration.ts'
import type { App } from '../app/lifecycle.ts'
import type { Kafka } from '../kafka/port.ts'
import { connect } from '../kafka/select.ts'
import { openStream } from '../streaming/run.ts'
import type { Stream } from '../streaming/stream.ts'
import { type Consumer, consumeEdges } from './consumer.ts'
import { startDeadLetters } from './dead-letter-office.ts'
import { membershipsOf, startGroups } from './groups.ts'
import type { Transactions } from './handling.ts'
import { pruneInbox } from './inbox.ts'
import { closePublisher, closeRabbitmq, confirmingPublisher, connectRabbitmq, giveUpWhereAway } from './rabbitmq.ts'
import { type RelayOptions, startRelay } from './relay.ts'
import { queueDestination, replyDestination, topicDestination } from './relay-destinations.ts'
import { startWorker } from './task-delivery.ts'
import { type Worker, workEdges } from './worker.ts'

/** What a service's messaging is made of. */
export type MessagingParts = {
  readonly database: Transactions
  /** One for every topic that is consumed. */
  readonly consumers?: readonly Consumer[]
  /** One for every queue that is worked. */
  readonly workers?: readonly Worker[]
  /** Those that process topics as a whole; each is a group of its own. */
  readonly streams?: readonly Stream[]
  readonly relay?: RelayOptions
}

type MessagingApp = Pick<App, 'node' | 'log' | 'readyWhen' | 'operate'> & {
  readonly configuration: Pick<Configuration, 'kafka' | 'rabbitmq'>
}

/** The running messaging of a service. */
export type Messaging = {
  /** Drains: no new message is taken, those in hand end, the outbox's round ends. What is left is sent after the next start. */
  close(): Promise<void>
}

const dayMs = 86_400_000
/** The relay tries again by itself, and closing waits no longer than this. */
const deliveryTimeoutMs = 5_000
const retentionDefaultMs = 7 * dayMs

/**
 * Starts what carries a service's messages: the relay of its outbox, its consumers and its workers. Waits for no broker:
 * groups and queues are joined in the background. Until then a service is not ready, save that one that exposes an
 * interface does not wait for its groups: it serves while Kafka is away. A group that refuses this service is logged as an
 * error and keeps any service from being ready. Rejects where an edge has no consumer or worker.
 */
export async function startMessaging(app: MessagingApp, parts: MessagingParts): Promise<Messaging> {
  const { consumers = [], workers = [], streams = [], database } = parts
  const letters = [...consumers, ...streams.flatMap((stream) => stream.letters)]
  assertComplete(app.node, letters, workers)
  assertOwnGroups(consumers, streams)
  const { log } = app
  const kafka = await openKafka(app)
  // All that may fail comes before anything that would have to be closed again.
  const opened = await Promise.all(streams.map((stream) => openStream(app, stream, need(kafka, app.node))))
  const rabbitmq = app.configuration.rabbitmq && connectRabbitmq(app.configuration.rabbitmq, app.node.name, log)

  const topics = topicsOf(app.node).map((topic) => ({
    topic,
    producer: need(kafka, app.node).producer({ deliveryTimeoutMs }),
  }))
  const publisherOf = (name: string) => (rabbitmq ? [{ name, publisher: confirmingPublisher(rabbitmq) }] : [])
  const queues = queuesOf(app.node).flatMap(publisherOf)
  const replies = answeredOf(app.node).map(replyExchange).flatMap(publisherOf)
  const destinations = [
    ...topics.map(({ topic, producer }) => topicDestination(topic, producer)),
    ...queues.map(({ name, publisher }) => queueDestination(name, publisher)),
    ...replies.map(({ name, publisher }) => replyDestination(name, publisher)),
  ]
  const relay = startRelay(database, destinations, log, parts.relay)
  const stopPruning = pruneInbox(database, keepMs(letters), (error) =>
    log.warn('The inbox could not be pruned.', { error }),
  )
  const deadLetters = startDeadLetters(app, { database, consumers: letters, workers, rabbitmq })
  const memberships = [...membershipsOf(consumers, log), ...opened.map(({ membership }) => membership)]
  const groups = startGroups(app, memberships.length > 0 ? need(kafka, app.node) : null, memberships)
  for (const { membership, attend } of opened) attend(() => groups.member(membership.groupId))
  const running = rabbitmq ? workers.map((worker) => ({ worker, run: startWorker(worker, rabbitmq, log) })) : []
  for (const { worker, run } of running) {
    app.readyWhen(`queue ${worker.queue.name}`, () => (run.ready() ? undefined : 'not consuming yet'))
  }
  return {
    close() {
      stopPruning()
      if (rabbitmq) giveUpWhereAway(rabbitmq)
      return closeInOrder([
        [deadLetters, groups, ...running.map(({ run }) => run)],
        opened,
        [relay],
        topics.map(({ producer }) => producer),
        rabbitmq
          ? [...queues, ...replies].map(({ publisher }) => ({ close: () => closePublisher(publisher, log) }))
          : [],
        rabbitmq ? [{ close: () => closeRabbitmq(rabbitmq) }] : [],
      ])
    },
  }
}

/** Closes one group of parts after the other. What fails to close keeps nothing open that comes after it; it is thrown at the end. */
async function closeInOrder(groups: readonly (readonly Closable[])[]): Promise<void> {
  const failures: unknown[] = []
  for (const parts of groups) {
    const outcomes = await Promise.allSettled(parts.map((part) => part.close()))
    for (const outcome of outcomes) if (outcome.status === 'rejected') failures.push(outcome.reason)
  }
  if (failures.length > 0) throw failures[0]
}

/** A group's members all read the same, so a stream shares none. */
function assertOwnGroups(consumers: readonly Consumer[], streams: readonly Stream[]): void {
  const groups = [...new Set(consumers.map(({ policy }) => policy.group)), ...streams.map(({ group }) => group)]
  const shared = groups.find((group, at) => groups.indexOf(group) !== at)
  if (shared !== undefined)
    throw new Error(`A stream shares the group ${shared}: declare a group of its own for its topics.`)
}

function need(kafka: Kafka | null, node: ServiceNode): Kafka {
  if (!kafka) throw new Error(`${node.name} publishes or consumes, but Kafka is not configured: set KAFKA_BROKERS.`)
  return kafka
}

async function openKafka({ node, configuration, log }: MessagingApp): Promise<Kafka | null> {
  if (!configuration.kafka) return null
  const { brokers, client, tls } = configuration.kafka
  return connect({
    clientId: node.name,
    brokers,
    adapter: client,
    tls: { caFile: tls.authorityFile, certFile: tls.certFile, keyFile: tls.keyFile },
    onError: (error) => log.warn(error.message, { code: error.code, error: error.cause }),
  })
}

/** A broker may deliver again for as long as it keeps a message, so the inbox remembers a day longer. */
function keepMs(consumers: readonly Consumer[]): number {
  return dayMs + Math.max(retentionDefaultMs, ...consumers.map(({ topic }) => topic.retentionMs ?? retentionDefaultMs))
}

/** Where the outbox of a service may lead: its topics, and the dead letters of what it consumes. */
function topicsOf(node: ServiceNode): readonly string[] {
  const published = (node.spec.publishes ?? []).map(({ name }) => name)
  const dead = consumeEdges(node)
    .filter(({ policy }) => policy.deadLetter !== false)
    .map(({ topic, policy }) => deadLetterTopic(topic.name, policy.group ?? node.name))
  return [...new Set([...published, ...dead])]
}

function queuesOf(node: ServiceNode): readonly string[] {
  return (node.spec.edges ?? []).flatMap((edge) => (edge.kind === 'sends' ? edge.queue.name : []))
}

/** The queues whose tasks this service answers. */
function answeredOf(node: ServiceNode): readonly string[] {
  return workEdges(node).flatMap(({ queue }) => (queue.replies === null ? [] : queue.name))
}

function assertComplete(node: ServiceNode, consumers: readonly Consumer[], workers: readonly Worker[]): void {
  const missing = [
    ...difference(
      consumeEdges(node).map(({ topic }) => topic.name),
      consumers.map(({ topic }) => topic.name),
    ).map((topic) => `a consumer of ${topic}`),
    ...difference(
      workEdges(node).map(({ queue }) => queue.name),
      workers.map(({ queue }) => queue.name),
    ).map((queue) => `a worker of ${queue}`),
  ]
  if (missing.length > 0) {
    throw new Error(`${node.name} declares, but does not start: ${missing.join(', ')}. Give it to startMessaging.`)
  }
}

function difference(wanted: readonly string[], given: readonly string[]): readonly string[] {
  return [...new Set(wanted)].filter((name) => !given.includes(name))
}
