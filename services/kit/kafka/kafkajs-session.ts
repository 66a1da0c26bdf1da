import kafkajs, { type IHeaders, type KafkaMessage, type RetryOptions } from 'kafkajs'
import { pause } from '../app/pause.ts'
import { type ConsumerSession, membership, type SessionSink } from './consumer.ts'
import type { Refusal } from './failure.ts'
import { keyOf } from './lanes.ts'
import type { ConsumeOptions, IncomingRecord, PartitionOffset, TopicPartition } from './port.ts'

export type KafkajsClient = {
  readonly kafka: kafkajs.Kafka
  readonly retry: RetryOptions
  readonly refusal: Refusal
  /** Opens no connection any more, waits for the library's own end within the limit, and gives up the connections left. */
  end(disconnect: () => Promise<void>, limitMs?: number): Promise<void>
}

/** Partitions of one fetch that are handed over before the wait for the next one; any beyond come after it. */
const handedOverMax = 32

/** A group membership on kafkajs. */
export class KafkajsSession implements ConsumerSession {
  readonly #client: KafkajsClient
  readonly #consumer: kafkajs.Consumer
  readonly #options: ConsumeOptions
  readonly #sink: SessionSink
  /** Newly assigned partitions of which it is not known yet where they begin, with the first offset that was passed over meanwhile. */
  #beginning = new Map<string, string | undefined>()
  readonly #closing = new AbortController()
  #gathering: Promise<void> | undefined

  constructor(client: KafkajsClient, options: ConsumeOptions, sink: SessionSink) {
    this.#client = client
    this.#options = options
    this.#sink = sink
    this.#consumer = client.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: membership.sessionTimeoutMs,
      rebalanceTimeout: membership.rebalanceTimeoutMs,
      heartbeatInterval: membership.heartbeatMs,
      maxWaitTimeInMs: membership.fetchWaitMs,
      maxBytesPerPartition: membership.partitionBytesMax,
      maxBytes: membership.fetchBytesMax,
      minBytes: 1,
      allowAutoTopicCreation: false,
      // Every crash ends the session and the next one begins clean: kafkajs itself restarts after some errors only.
      retry: { ...client.retry, restartOnFailure: async () => false },
    })
  }

  async start(): Promise<void> {
    // The debug log is where kafkajs tells why it finds no coordinator.
    const logger = this.#consumer.logger()
    logger.setLogLevel(kafkajs.logLevel.DEBUG)
    try {
      await this.#client.refusal.unless(this.#join())
    } finally {
      logger.setLogLevel(kafkajs.logLevel.ERROR)
    }
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<void> {
    await this.#consumer.commitOffsets(offsets.map((each) => ({ ...each, offset: each.offset.toString() })))
  }

  hold({ topic, partition }: TopicPartition, hold: boolean): void {
    const partitions = [{ topic, partitions: [partition] }]
    try {
      if (hold) this.#consumer.pause(partitions)
      else this.#consumer.resume(partitions)
    } catch (error) {
      // It refuses once it has stopped fetching, for which there is an event.
      this.#client.refusal.observe(error)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#client.end(() => this.#consumer.disconnect())
  }

  async #join(): Promise<void> {
    const consumer = this.#consumer
    const joined = Promise.withResolvers<void>()
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#assign(payload.memberId, payload.memberAssignment)
      joined.resolve()
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      joined.reject(payload.error)
      this.#sink.lost(payload.error)
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: this.#options.from === 'earliest' })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: this.#options.gatherMs ? handedOverMax : 1,
      // Only hands over: were the handler awaited here, one slow partition would stop the fetches of all.
      eachBatch: async ({ batch, isStale }) => {
        if (isStale()) return
        const key = keyOf(batch)
        if (!this.#beginning.has(key)) {
          this.#sink.offer(batch, batch.messages.map(incoming), BigInt(batch.highWatermark))
          if (batch.offsetLag() === '0') await this.#gather()
          return
        }
        const passedOver = this.#beginning.get(key) ?? batch.messages[0]?.offset
        this.#beginning.set(key, passedOver)
      },
    })
    await joined.promise
  }

  /** The next fetch begins when all that the last one brought is handed over: one wait for all of it. */
  async #gather(): Promise<void> {
    const { gatherMs } = this.#options
    if (!gatherMs) return
    this.#gathering ??= pause(gatherMs, this.#closing.signal)
    await this.#gathering
    this.#gathering = undefined
  }

  #assign(member: string, assignment: Readonly<Record<string, number[]>>): void {
    const partitions = Object.entries(assignment).flatMap(([topic, own]) =>
      own.map((partition) => ({ topic, partition })),
    )
    const kept = this.#sink.assign(member, partitions)
    // After each join kafkajs goes back to the committed offsets: what is queued here must not be fetched again.
    for (const position of kept) this.#seek(position)
    const known = new Set(kept.map(keyOf))
    this.#begin(partitions.filter((each) => !known.has(keyOf(each)))).catch(this.#sink.lost)
  }

  /** Fetching has begun before the answer is there: until then records are passed over, and fetched again where need be. */
  async #begin(partitions: readonly TopicPartition[]): Promise<void> {
    const beginning = new Map<string, string | undefined>()
    this.#beginning = beginning
    const { startAt } = this.#options
    if (startAt === undefined || partitions.length === 0) return
    for (const each of partitions) beginning.set(keyOf(each), undefined)
    const chosen = await startAt(partitions)
    // Another assignment has come meanwhile, and asks for itself.
    if (this.#beginning !== beginning) return
    for (const position of chosen) {
      this.#seek(position)
      beginning.delete(keyOf(position))
    }
    for (const each of partitions) {
      const passedOver = beginning.get(keyOf(each))
      if (passedOver !== undefined) this.#seek({ ...each, offset: BigInt(passedOver) })
    }
    beginning.clear()
  }

  #seek({ topic, partition, offset }: PartitionOffset): void {
    this.#consumer.seek({ topic, partition, offset: offset.toString() })
  }
}

function incoming({ offset, key, value, headers, timestamp }: KafkaMessage): IncomingRecord {
  return {
    offset: BigInt(offset),
    key: key?.toString() ?? '',
    value: value ?? Buffer.alloc(0),
    headers: textHeaders(headers ?? {}),
    timestampMs: Number(timestamp),
  }
}

function textHeaders(headers: IHeaders): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    // Of a repeated header the last one counts, as in the other client.
    const last = Array.isArray(value) ? value.at(-1) : value
    if (last !== undefined) texts[name] = last.toString()
  }
  return texts
}
