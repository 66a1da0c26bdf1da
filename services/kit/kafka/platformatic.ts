import { type BaseOptions, Consumer, ListOffsetTimestamps, ProduceAcks, Producer } from '@platformatic/kafka'
import { answerLimitMs, membership, type SessionSink, startConsumer } from './consumer.ts'
import { createRefusal, kafkaError, type Refusal } from './failure.ts'
import { answeredWithin } from './limit.ts'
import { partitionOf } from './partitioner.ts'
import { endClients, PlatformaticSession } from './platformatic-session.ts'
import type { ConsumeOptions, Kafka, KafkaOptions, OutgoingRecord, PartitionOffset } from './port.ts'
import { createProducer, type ProducerSession } from './producer.ts'
import { createSockets, type Sockets } from './sockets.ts'
import { tlsSource } from './tls.ts'

const defaultDeliveryTimeoutMs = 10_000
const retryDelay = { firstMs: 50, maxMs: 500 } as const

/** What a producer or a consumer needs of its environment. */
type Base = (requestTimeoutMs: number, retries: number, refusal: Refusal) => BaseOptions

/** The port on @platformatic/kafka. */
export function connectPlatformatic(options: KafkaOptions): Kafka {
  const base = createBase(options)
  return {
    producer: ({ deliveryTimeoutMs = defaultDeliveryTimeoutMs } = {}) =>
      createProducer(async () => openProducer(base, deliveryTimeoutMs), deliveryTimeoutMs),
    consume: (consume) => startConsumer(options, consume, (sink) => createSession(base, consume, sink)),
    beginnings: (topics) => beginningsOf(base, topics),
  }
}

function createBase(options: KafkaOptions): Base {
  const secureContext = tlsSource(options)
  const tls = {
    // The library copies these options for each connection, which reads the files then.
    get secureContext() {
      return secureContext?.()
    },
  }
  return (requestTimeout, retries, refusal) => ({
    clientId: options.clientId,
    bootstrapBrokers: [...options.brokers],
    connectTimeout: 3_000,
    requestTimeout,
    retries,
    retryDelay(_client, _operation, attempt, _retries, error) {
      refusal.observe(error)
      return Math.min(retryDelay.maxMs, retryDelay.firstMs * 2 ** (attempt - 1))
    },
    metadataMaxAge: 60_000,
    autocreateTopics: false,
    ...(secureContext === undefined ? {} : { tls, tlsServerName: false }),
  })
}

function openProducer(base: Base, deliveryTimeoutMs: number): ProducerSession {
  const refusal = createRefusal('Connecting a producer')
  // Enough to outlast the deadline, which `createProducer` keeps.
  const retries = Math.ceil(deliveryTimeoutMs / retryDelay.maxMs) + 4
  const producer = new Producer({
    ...base(deliveryTimeoutMs, retries, refusal),
    idempotent: true,
    acks: ProduceAcks.ALL,
  })
  const sockets = createSockets()
  watch(producer, refusal, sockets)
  const write = async (records: readonly OutgoingRecord[]) => {
    const topics = [...new Set(records.map(({ topic }) => topic))]
    const metadata = await producer.metadata({ topics })
    const messages = records.map((each) => message(each, metadata.topics.get(each.topic)?.partitionsCount ?? 1))
    await producer.send({ messages })
  }
  return {
    send: (records) => refusal.unless(write(records)),
    lastFailure: refusal.last,
    abandon() {
      // Closing ends a retry under way. That a connection which failed also fails to close says nothing new.
      endClients([producer], sockets).catch(() => undefined)
    },
    close: () => endClients([producer], sockets),
  }
}

async function beginningsOf(base: Base, topics: readonly string[]): Promise<PartitionOffset[]> {
  const doing = `Asking where ${topics.join(', ')} begin`
  const refusal = createRefusal(doing)
  // It joins no group: only a consumer of this library can ask.
  const reader = new Consumer({ ...base(membership.sessionTimeoutMs, 4, refusal), groupId: 'none' })
  const sockets = createSockets()
  watch(reader, refusal, sockets)
  try {
    const asked = reader.listOffsets({ topics: [...topics], timestamp: ListOffsetTimestamps.EARLIEST })
    const found = [...(await answeredWithin(answerLimitMs, refusal.unless(asked), doing))]
    return found.flatMap(([topic, offsets]) => offsets.map((offset, partition) => ({ topic, partition, offset })))
  } catch (error) {
    throw kafkaError(error, doing)
  } finally {
    await endClients([reader], sockets)
  }
}

function message({ topic, key, value, headers, partition }: OutgoingRecord, partitionCount: number) {
  return {
    topic,
    key: Buffer.from(key),
    value,
    headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
    partition: partition ?? partitionOf(key, partitionCount),
  }
}

function createSession(base: Base, consume: ConsumeOptions, sink: SessionSink) {
  const refusal = createRefusal(`Consuming as ${consume.groupId}`, sink.trouble)
  const options = {
    ...base(membership.sessionTimeoutMs, 4, refusal),
    groupId: consume.groupId,
    sessionTimeout: membership.sessionTimeoutMs,
    rebalanceTimeout: membership.rebalanceTimeoutMs,
    heartbeatInterval: membership.heartbeatMs,
    // Nobody listens for heartbeats that stall, but a join that ends with the client has the library wait for one so long.
    heartbeatStallTimeout: membership.heartbeatMs,
    // The name kafkajs uses, so that a group may change its client member by member.
    protocols: [{ name: 'RoundRobinAssigner', version: 1 }],
  }
  const clients = {
    group: new Consumer(options),
    reader: new Consumer(options),
    // Without retries: the library would answer a refused commit with a join of its own.
    committer: new Consumer({ ...options, retries: 0 }),
  }
  const sockets = createSockets()
  for (const client of Object.values(clients)) watch(client, refusal, sockets)
  return new PlatformaticSession(clients, sockets, refusal, consume, sink)
}

/** With TLS 1.3 a broker refuses a certificate after the handshake: only the connection itself learns why it ended. */
function watch(client: Producer | Consumer, refusal: Refusal, sockets: Sockets): void {
  client.connections.on('connecting', ({ connection }) => {
    // Its socket is made right after this event.
    queueMicrotask(() => {
      if (connection.socket) sockets.add(connection.socket)
    })
  })
  client.on('client:broker:connect', ({ connection }) => {
    connection.on('error', refusal.observe)
  })
}
