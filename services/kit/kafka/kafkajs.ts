import { connect as connectTcp, isIP } from 'node:net'
import { connect as connectTls, type SecureContext } from 'node:tls'
import kafkajs, { type ISocketFactory, type LogEntry, type RetryOptions } from 'kafkajs'
import { answerLimitMs, membership, startConsumer } from './consumer.ts'
import { createRefusal, kafkaError, type Refusal } from './failure.ts'
import { mendKafkajs } from './kafkajs-mends.ts'
import { type KafkajsClient, KafkajsSession } from './kafkajs-session.ts'
import { answeredWithin, settledWithin } from './limit.ts'
import { partitionOf } from './partitioner.ts'
import { type Kafka, KafkaError, type KafkaOptions, type OutgoingRecord, type PartitionOffset } from './port.ts'
import { createProducer, type ProducerSession } from './producer.ts'
import { createSockets, type Sockets } from './sockets.ts'
import { tlsSource } from './tls.ts'

const defaultDeliveryTimeoutMs = 10_000
/** Spelt out in full: where NODE_ENV is "test", kafkajs has other defaults. */
const retry = { initialRetryTime: 50, maxRetryTime: 500, multiplier: 2, factor: 0.2, retries: 4 } satisfies RetryOptions
const consumerRetry = { ...retry, retries: Math.ceil(membership.patienceMs / retry.maxRetryTime) }

/** The port on kafkajs. */
export function connectKafkajs(options: KafkaOptions): Kafka {
  mendKafkajs()
  const secureContext = tlsSource(options)
  return {
    producer({ deliveryTimeoutMs = defaultDeliveryTimeoutMs } = {}) {
      const open = () => {
        const refusal = createRefusal('Connecting a producer')
        return openProducer(createClient(options, secureContext, deliveryTimeoutMs, retry, refusal), deliveryTimeoutMs)
      }
      return createProducer(open, deliveryTimeoutMs)
    },
    consume(consume) {
      return startConsumer(options, consume, (sink) => {
        const refusal = createRefusal(`Consuming as ${consume.groupId}`, sink.trouble)
        const client = createClient(options, secureContext, membership.sessionTimeoutMs, consumerRetry, refusal)
        return new KafkajsSession(client, consume, sink)
      })
    },
    async beginnings(topics) {
      const doing = `Asking where ${topics.join(', ')} begin`
      const refusal = createRefusal(doing)
      const client = createClient(options, secureContext, membership.sessionTimeoutMs, retry, refusal)
      const admin = client.kafka.admin()
      try {
        return await answeredWithin(answerLimitMs, refusal.unless(beginningsOf(admin, topics)), doing)
      } catch (error) {
        throw kafkaError(error, doing)
      } finally {
        await client.end(() => admin.disconnect())
      }
    },
  }
}

/** One a producer and one a session: kafkajs shares the committed offsets among all consumers of a client. */
function createClient(
  options: KafkaOptions,
  secureContext: (() => SecureContext) | undefined,
  requestTimeout: number,
  retry: RetryOptions,
  refusal: Refusal,
): KafkajsClient {
  const closed = new AbortController()
  const sockets = createSockets()
  const onLog = ({ level, log }: LogEntry) => {
    // Why there is no coordinator (no permission for the group?) kafkajs tells to its debug log only.
    if (log.message === 'Tried to find group coordinator') refusal.observe(log.error)
    if (level === kafkajs.logLevel.ERROR) refusal.observe(log.error ?? log.message)
  }
  const kafka = new kafkajs.Kafka({
    clientId: options.clientId,
    // No broker is the one answer after which kafkajs stops to retry.
    brokers: () => (closed.signal.aborted ? [] : [...options.brokers]),
    ssl: secureContext !== undefined,
    socketFactory: socketFactory(secureContext, refusal, closed.signal, sockets),
    connectionTimeout: 3_000,
    requestTimeout,
    retry,
    // Nothing is printed: failures reach the caller as rejections and through `onError`.
    logLevel: kafkajs.logLevel.ERROR,
    logCreator: () => onLog,
  })
  return {
    kafka,
    retry,
    refusal,
    async end(disconnect, limitMs = membership.leaveLimitMs) {
      closed.abort()
      const disconnected = disconnect()
      const inTime = await settledWithin(limitMs, disconnected)
      // An error, for it is told to whoever waits for an answer, and ends the timers of the connection.
      sockets.destroy(new KafkaError('CLOSED', 'The client was closed before the broker had answered.'))
      if (inTime) await disconnected
    },
  }
}

function socketFactory(
  secureContext: (() => SecureContext) | undefined,
  refusal: Refusal,
  closed: AbortSignal,
  sockets: Sockets,
): ISocketFactory {
  return ({ host, port, onConnect }) => {
    closed.throwIfAborted()
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const socket =
      secureContext === undefined
        ? connectTcp({ host, port }, onConnect)
        : connectTls({ host, port, ...servername, secureContext: secureContext() }, onConnect)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 60_000)
    socket.on('error', refusal.observe)
    sockets.add(socket)
    return socket
  }
}

async function openProducer(client: KafkajsClient, deliveryTimeoutMs: number): Promise<ProducerSession> {
  let abandoned = false
  const producer = client.kafka.producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    // Enough to outlast the deadline, which `createProducer` keeps.
    retry: { ...retry, retries: Math.ceil(deliveryTimeoutMs / retry.maxRetryTime) + 4 },
    createPartitioner: () => (record) => {
      // The one hook that every attempt passes: an abandoned batch must not be written behind the back of later ones.
      if (abandoned) throw new RangeError('The send was given up.')
      return record.message.partition ?? partitionOf(String(record.message.key), record.partitionMetadata.length)
    },
  })
  const close = () => client.end(() => producer.disconnect())
  const abandon = () => {
    abandoned = true
    // The connection is given up because it failed: that it also fails to close says nothing new.
    client.end(() => producer.disconnect(), 0).catch(() => undefined)
  }
  try {
    await client.refusal.unless(producer.connect())
  } catch (error) {
    abandon()
    throw error
  }
  const send = async (records: readonly OutgoingRecord[]) => {
    await client.refusal.unless(producer.sendBatch({ acks: -1, topicMessages: topicMessages(records) }))
  }
  return { send, lastFailure: client.refusal.last, abandon, close }
}

async function beginningsOf(admin: kafkajs.Admin, topics: readonly string[]): Promise<PartitionOffset[]> {
  await admin.connect()
  const found = await Promise.all(
    topics.map(async (topic) =>
      (await admin.fetchTopicOffsets(topic)).map(({ partition, low }) => ({ topic, partition, offset: BigInt(low) })),
    ),
  )
  return found.flat()
}

function topicMessages(records: readonly OutgoingRecord[]) {
  const byTopic = Map.groupBy(records, ({ topic }) => topic)
  return [...byTopic].map(([topic, own]) => ({ topic, messages: own.map(message) }))
}

function message({ key, value, headers, partition }: OutgoingRecord): kafkajs.Message {
  const own = { key, value, headers: { ...headers } }
  return partition === undefined ? own : { ...own, partition }
}
