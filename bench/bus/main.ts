/**
 * The bus, as services use it: an event from the call that publishes it, over the outbox, Kafka and the inbox, to its handler
 * and to the commit of what the handler did. All of it is durable: both transactions wait for Postgres' disk, the record for all
 * replicas in sync of a Kafka over mutual TLS (here there is one). Publisher and consumer are two services in one process.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { deadLetterTopic } from '#graph/names.ts'
import { service } from '#graph/service.ts'
import { postgres } from '#graph/store.ts'
import { consumes, topic } from '#graph/topic.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import type { KafkaConfiguration } from '#kit/app/configuration.ts'
import { type BrokerFixture, createTopics, startBroker, superUser } from '#kit/kafka/broker-fixture.ts'
import { consumer } from '#kit/messaging/consumer.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { publisher } from '#kit/messaging/publisher.ts'
import { type AnyTx, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import { OrderPlacedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { openLoop, quantile } from '../load.ts'
import { type Line, print } from '../report.ts'

const perSecond = 50
const seconds = 10
const burst = 10_000
/** Transactions under way at once while the burst is published: as many as the publisher may have connections. */
const publishers = 8
const partitions = 6
const durability = 'Postgres fsync twice, Kafka acks=all of one replica'

const orderEvents = topic('orders', { carries: [OrderPlacedSchema], key: 'orderId' })
const orders = service('orders', { owns: [postgres()], publishes: [orderEvents] })
const shipping = service('shipping', { owns: [postgres()], edges: [consumes(orderEvents, [OrderPlacedSchema])] })
const publish = publisher(orders, orderEvents)

const effectTable = statement('create table effect (order_id text primary key)')
const insertEffect = statement('insert into effect (order_id) values ($1)')

async function main(): Promise<void> {
  const server = await startPostgres()
  const broker = await startBroker().catch(async (error: unknown) => {
    await server.stop()
    throw error
  })
  try {
    await makeTopics(broker)
    const { caFile, certFile, keyFile } = broker.identity('admin')
    const tls = { authorityFile: caFile, certFile, keyFile }
    const lines = await measure(server, { brokers: broker.brokers, tls, client: 'kafkajs' })
    print(`7 · Publish/subscribe: the bus, ${perSecond}/s for ${seconds} s after 4 s of the same`, lines)
  } finally {
    await Promise.all([server.stop(), broker.stop()])
  }
}

async function measure(server: PostgresFixture, kafka: KafkaConfiguration): Promise<Line[]> {
  const bus = await openBus(server, kafka)
  await openLoop({ perSecond, seconds: 4, call: () => bus.publish().effect })
  const handledMs: number[] = []
  const { latenciesMs: committedMs } = await openLoop({
    perSecond,
    seconds,
    call: async () => {
      const beganMs = performance.now()
      handledMs.push((await bus.publish().effect) - beganMs)
    },
  })
  const transactionsBefore = bus.transactions()
  const beganMs = performance.now()
  await publishAll(bus)
  const rate = (burst * 1_000) / (performance.now() - beganMs)
  const batch = burst / (bus.transactions() - transactionsBefore)
  await bus.close()
  const claimed = '2–20 ms'
  return [
    {
      what: 'publish → handler, p50',
      measured: quantile(handledMs, 0.5),
      ...{ unit: 'ms', target: 5, claimed },
      note: `batch 1; ${durability}`,
    },
    { what: 'publish → handler, p99', measured: quantile(handledMs, 0.99), unit: 'ms' },
    { what: 'publish → effect committed, p50', measured: quantile(committedMs, 0.5), unit: 'ms', claimed },
    { what: 'publish → effect committed, p99', measured: quantile(committedMs, 0.99), unit: 'ms' },
    {
      what: `${burst} events, each of its own transaction, ${publishers} at once, to their effects`,
      measured: rate,
      ...{ unit: 'events/s', claimed: '1 M+ msg/s' },
      note: `${batch.toFixed(0)} events a consumer's transaction; ${durability}`,
    },
  ]
}

type Bus = Awaited<ReturnType<typeof openBus>>

/** A publisher and a consumer. An event's `effect` resolves when it is committed, with when its handler began. */
async function openBus(server: PostgresFixture, kafka: KafkaConfiguration) {
  const [from, to] = [
    testApp(orders, { kafka, postgres: server.create('orders') }),
    testApp(shipping, { kafka, postgres: server.create('shipping') }),
  ]
  const [source, sink] = [openDatabase(from), openDatabase(to)]
  await Promise.all([migrate(source), migrate(sink)])
  await sink.query(effectTable)
  const committed = new Map<string, (handlerMs: number) => void>()
  const transactions = new WeakSet<AnyTx>()
  let count = 0
  const OrderPlaced = async ({ orderId }: { orderId: string }, tx: AnyTx) => {
    const handlerMs = performance.now()
    if (!transactions.has(tx)) count += 1
    transactions.add(tx)
    await tx.query(insertEffect, [orderId])
    tx.afterCommit(() => committed.get(orderId)?.(handlerMs))
  }
  const publishing = await startMessaging(from, { database: source })
  const consuming = await startMessaging(to, {
    database: sink,
    consumers: [consumer(shipping, orderEvents, sink, { OrderPlaced })],
  })
  while (Object.keys(await to.notReady()).length > 0) await sleep(20)
  let next = 0
  return {
    transactions: () => count,
    publish() {
      next += 1
      const orderId = `o-${next}`
      const { promise: effect, resolve } = Promise.withResolvers<number>()
      committed.set(orderId, resolve)
      const event = { orderId, customerId: 'c-1' }
      const published = source.transaction(async (tx) => publish(tx, OrderPlacedSchema, event))
      return { published, effect }
    },
    async close() {
      for (const part of [publishing, consuming]) await part.close()
      for (const database of [source, sink]) await database.close()
    },
  }
}

/** Publishes the burst, and waits for all effects: the next event does not wait for the effect of the last. */
async function publishAll(bus: Bus): Promise<void> {
  const effects: Promise<number>[] = []
  const publishNext = async () => {
    while (effects.length < burst) {
      const { published, effect } = bus.publish()
      effects.push(effect)
      await published
    }
  }
  await Promise.all(Array.from({ length: publishers }, publishNext))
  await Promise.all(effects)
}

async function makeTopics(broker: BrokerFixture): Promise<void> {
  const admin = superUser(broker).admin()
  await admin.connect()
  const names = [orderEvents.name, deadLetterTopic(orderEvents.name, shipping.name)]
  const topics = names.map((name) => ({ topic: name, numPartitions: partitions, replicationFactor: 1 }))
  await createTopics(admin, ...topics)
  await admin.disconnect()
}

await main()
