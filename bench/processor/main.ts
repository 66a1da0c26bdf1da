/**
 * A stream processor, as analytics is one: of each event it keeps a state by key, adds it to its window and publishes an enriched one,
 * all in one transaction for a batch of a partition, with the partition's offset. Real Kafka over mutual TLS and real Postgres, both durable.
 */
import { deadLetterTopic } from '#graph/names.ts'
import { testApp } from '#kit/app/app-fixture.ts'
import { type BrokerFixture, createTopics, startBroker, superUser } from '#kit/kafka/broker-fixture.ts'
import type { OutgoingRecord, Producer } from '#kit/kafka/port.ts'
import { connect } from '#kit/kafka/select.ts'
import { startMessaging } from '#kit/messaging/messaging.ts'
import { publisher } from '#kit/messaging/publisher.ts'
import { type AnyTx, type Database, openDatabase, statement } from '#kit/store/database.ts'
import { migrate } from '#kit/store/migrations.ts'
import { type PostgresFixture, startPostgres } from '#kit/store/postgres-fixture.ts'
import type { StreamSpec } from '#kit/streaming/stream.ts'
import { facts, orderEvents, outgoing, tally, tallyStream } from '#kit/streaming/streaming-fixture.ts'
import { until } from '#kit/until-fixture.ts'
import { OrderConfirmedSchema } from '#proto/parley/orders/v1/events_pb.ts'
import { besideEachOther } from '../load.ts'
import { type Line, latencyLines, print } from '../report.ts'

const partitions = 6
const backlog = 30_000
const sendMax = 1_000
const perSecond = 50
const seconds = 15
const windows = { sizeMs: 1_000, latenessMs: 500, idleMs: 5_000 } as const
const doneWithinMs = 120_000
const durability = 'Postgres fsync, Kafka acks=all of one replica'

/** What the processor did, as its commits tell. */
type Seen = {
  applied: number
  transactions: number
  firstMs: number
  /** Those of the first transaction: the clock begins after them. */
  first: number
  readonly effects: Map<string, () => void>
  readonly closings: { readonly startsMs: number; readonly lateMs: number }[]
}

async function main(): Promise<void> {
  const [server, broker] = await Promise.all([startPostgres(), startBroker()])
  try {
    const producer = await openTopics(broker)
    const lines = await measure(server, broker, producer)
    await producer.close()
    print(`8 · Event streaming: a stream processor of ${partitions} partitions`, lines)
  } finally {
    await Promise.all([server.stop(), broker.stop()])
  }
}

async function measure(server: PostgresFixture, broker: BrokerFixture, producer: Producer): Promise<Line[]> {
  const { caFile, certFile, keyFile } = broker.identity('admin')
  const tls = { authorityFile: caFile, certFile, keyFile }
  const kafka = { brokers: broker.brokers, tls, client: 'kafkajs' } as const
  const app = testApp(tally, { kafka, postgres: server.create('tally') })
  const database = openDatabase<object>(app)
  await migrate(database)
  await sendBacklog(producer)
  const seen: Seen = { applied: 0, transactions: 0, firstMs: 0, first: 0, effects: new Map(), closings: [] }
  const running = await startMessaging(app, { database, streams: [tallyStream(database, observed(seen))] })
  const caughtUp = await backlogLines(database, seen)
  const live = await liveLines(producer, seen)
  await running.close()
  await database.close()
  return [...caughtUp, ...live]
}

/** A stream whose commits are seen. */
function observed(seen: Seen): Partial<StreamSpec<{ readonly ids: readonly string[] }>> {
  const publish = publisher(tally, facts)
  const counts = new WeakMap<AnyTx, { events: number }>()
  const begun = (tx: AnyTx) => {
    const count = { events: 0 }
    counts.set(tx, count)
    tx.afterCommit(() => {
      if (seen.transactions === 0) Object.assign(seen, { firstMs: performance.now(), first: count.events })
      seen.transactions += 1
      seen.applied += count.events
    })
    return count
  }
  return {
    windows: { of: [orderEvents], ...windows },
    changed(tx, _state, { at, id }) {
      const count = counts.get(tx) ?? begun(tx)
      count.events += 1
      publish(tx, OrderConfirmedSchema, { orderId: at.key }, { id })
      tx.afterCommit(() => seen.effects.get(at.key)?.())
    },
    closed(tx, { startsMs, endsMs }) {
      tx.afterCommit(() => seen.closings.push({ startsMs, lateMs: Date.now() - endsMs - windows.latenessMs }))
    },
  }
}

/** What waits in the topic when the processor starts: its state, windows and enriched events are as fast as it is. */
async function backlogLines(database: Database<object>, seen: Seen): Promise<Line[]> {
  await until(() => seen.applied === backlog, 'the backlog is applied', doneWithinMs)
  const appliedS = (performance.now() - seen.firstMs) / 1_000
  const batch = seen.applied / seen.transactions
  const waiting = statement('select from kit.outbox limit 1')
  // Seldom, so that asking costs the database nothing that is measured.
  const published = async () => (await database.query(waiting)).length === 0
  await until(published, 'the outbox is empty', doneWithinMs, 20)
  const publishedS = (performance.now() - seen.firstMs) / 1_000
  const note = `${batch.toFixed(0)} events a transaction; ${durability}`
  const claimed = 'very high'
  const after = backlog - seen.first
  return [
    {
      what: `${backlog} events that wait, to their effects`,
      measured: after / appliedS,
      unit: 'events/s',
      claimed,
      note,
    },
    { what: 'until their enriched events are published, too', measured: after / publishedS, unit: 'events/s', claimed },
  ]
}

async function liveLines(producer: Producer, seen: Seen): Promise<Line[]> {
  const sentFromMs = Date.now()
  const [before, transactions] = [seen.applied, seen.transactions]
  const send = gathered(producer)
  const event = async (index: number) => {
    const key = `live-${index}`
    const { promise, resolve } = Promise.withResolvers<void>()
    seen.effects.set(key, resolve)
    const sent = send(outgoing({ key, timeMs: Date.now() }))
    await Promise.race([promise, sent.then(() => promise)])
  }
  const { event: effectMs } = await besideEachOther({ event }, { perSecond, seconds })
  const batch = (seen.applied - before) / (seen.transactions - transactions)
  // The first windows wait for partitions that were idle, and the last for events that do not come.
  const inTime = ({ startsMs }: { readonly startsMs: number }) =>
    startsMs > sentFromMs + windows.sizeMs && startsMs < sentFromMs + (seconds - 3) * 1_000
  const closedMs = seen.closings.filter(inTime).map(({ lateMs }) => lateMs)
  const note = `gathered for ${windows.idleMs / 10} ms, ${batch.toFixed(1)} events a transaction; ${durability}`
  return [
    ...latencyLines(`event sent → effect, ${perSecond}/s for ${seconds} s`, effectMs, { claimed: '–', note }),
    ...latencyLines('end of a window and its lateness → result', closedMs, {
      claimed: '–',
      note: `${closedMs.length} windows of ${windows.sizeMs} ms; looked for once a second`,
    }),
  ]
}

/** Sends in turns whatever has come meanwhile, as a relay does: a producer has one send under way. */
function gathered(producer: Producer): (record: OutgoingRecord) => Promise<void> {
  const waiting: OutgoingRecord[] = []
  let sending: Promise<void> | undefined
  const sendAll = async () => {
    while (waiting.length > 0) await producer.send(waiting.splice(0))
    sending = undefined
  }
  return (record) => {
    waiting.push(record)
    sending ??= sendAll()
    return sending
  }
}

async function sendBacklog(producer: Producer): Promise<void> {
  const fromMs = Date.now() - 3_600_000
  for (let sent = 0; sent < backlog; sent += sendMax) {
    const some = Array.from({ length: sendMax }, (_, index) => sent + index)
    await producer.send(some.map((number) => outgoing({ key: `o-${number}`, timeMs: fromMs + number })))
  }
}

async function openTopics(broker: BrokerFixture): Promise<Producer> {
  const admin = superUser(broker).admin()
  await admin.connect()
  const names = [orderEvents.name, facts.name, deadLetterTopic(orderEvents.name, tally.name)]
  const topics = names.map((name) => ({ topic: name, numPartitions: partitions, replicationFactor: 1 }))
  await createTopics(admin, ...topics)
  await admin.disconnect()
  const wire = await connect({
    clientId: 'bench',
    brokers: broker.brokers,
    tls: broker.identity('admin'),
    onError: () => undefined,
  })
  return wire.producer()
}

await main()
