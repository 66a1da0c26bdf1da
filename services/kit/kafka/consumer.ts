import { setTimeout as sleep } from 'node:timers/promises'
import { Commits } from './commits.ts'
import { kafkaError } from './failure.ts'
import { Lanes } from './lanes.ts'
import {
  type ConsumeOptions,
  type Consumer,
  type IncomingRecord,
  KafkaError,
  type KafkaOptions,
  type PartitionOffset,
  type TopicPartition,
} from './port.ts'

/** A client library's membership of the group. */
export type ConsumerSession = {
  /** Joins the group: resolves with the first assignment. Called once. */
  start(): Promise<void>
  commit(offsets: readonly PartitionOffset[]): Promise<void>
  /** Stop (`true`) or go on fetching a partition. */
  hold(partition: TopicPartition, hold: boolean): void
  /** Leaves the group at once, if it was joined, within `leaveLimitMs` whatever the broker does. Then nothing of it is left open. */
  close(): Promise<void>
}

/** Where a session delivers. Deaf once the session is lost or closed, so a late callback does no harm. */
export type SessionSink = {
  /** Answers the partitions that go on where they are, and from which offset to fetch them. */
  assign(member: string, partitions: readonly TopicPartition[]): PartitionOffset[]
  offer(partition: TopicPartition, records: readonly IncomingRecord[], highWatermark: bigint): void
  held(partition: TopicPartition): boolean
  /** Something fails while the session goes on. */
  trouble(error: KafkaError): void
  /** The session is of no more use; a new one will be opened. */
  lost(error: unknown): void
}

export type CreateSession = (sink: SessionSink) => ConsumerSession

/** Timings of group membership, the same for both clients. */
export const membership = {
  /** How long an idle fetch waits at the broker. A record ends it at once; closing and resuming a partition wait for it. */
  fetchWaitMs: 200,
  heartbeatMs: 500,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 15_000,
  /**
   * How long a session goes on without an answer. Longer than the group waits for a member: where the group's own broker
   * was down it waits anew once that is back, and a member that kept its id goes on at once.
   */
  patienceMs: 60_000,
  /** How long leaving may take. A broker that is gone has lost the member anyway. */
  leaveLimitMs: 2_000,
  partitionBytesMax: 524_288,
  fetchBytesMax: 8_388_608,
} as const

/** How long a question that no member asks may take: the libraries' own attempts add up to minutes where a broker hangs. */
export const answerLimitMs = 10_000

const reopen = { firstMs: 100, maxMs: 2_000 } as const
const troubleEveryMs = 5_000
const defaultDrainMs = 5_000
const flushLimitMs = 2_000

/** Starts a consumer on sessions of a client library: see `Kafka.consume` for the contract. */
export async function startConsumer(
  kafka: KafkaOptions,
  options: ConsumeOptions,
  createSession: CreateSession,
): Promise<Consumer> {
  const consumer = new GroupConsumer(kafka, options, createSession)
  const giveUp = () => void consumer.close({ drainMs: 0 })
  options.signal?.addEventListener('abort', giveUp)
  try {
    if (options.signal?.aborted) await consumer.close()
    await consumer.start()
    return consumer
  } finally {
    options.signal?.removeEventListener('abort', giveUp)
  }
}

class GroupConsumer implements Consumer {
  readonly #onError: (error: KafkaError) => void
  readonly #doing: string
  readonly #createSession: CreateSession
  readonly #lanes: Lanes
  readonly #commits: Commits
  readonly #closing = new AbortController()
  #session: ConsumerSession | undefined
  #quietUntilMs = 0
  #ended: Promise<void> | undefined

  constructor(kafka: KafkaOptions, options: ConsumeOptions, createSession: CreateSession) {
    const { partitionsAtOnce = 4, batchMax = 100, backoff = { firstMs: 200, maxMs: 10_000 }, handle } = options
    this.#onError = kafka.onError
    this.#doing = `Consuming ${options.topics.join(', ')} as ${options.groupId}`
    this.#createSession = createSession
    this.#commits = new Commits(
      async (offsets) => this.#session?.commit(offsets) ?? Promise.reject(notAMember(this.#doing)),
      (error) => this.#report(error),
    )
    this.#lanes = new Lanes({
      handle,
      partitionsAtOnce,
      batchMax,
      backoff,
      onHandled: (position) => this.#commits.mark(position),
      onHold: (partition, hold) => this.#session?.hold(partition, hold),
      onError: kafka.onError,
    })
  }

  async start(): Promise<void> {
    for (let failures = 0; !this.#closing.signal.aborted; failures += 1) {
      try {
        return await this.#open()
      } catch (cause) {
        if (this.#closing.signal.aborted) return
        const error = kafkaError(cause, this.#doing)
        if (!error.retriable) throw error
        this.#report(error)
        await this.#pause(failures)
      }
    }
  }

  lag() {
    return this.#lanes.lag()
  }

  assigned() {
    return this.#lanes.assigned()
  }

  close({ drainMs = defaultDrainMs }: { readonly drainMs?: number } = {}): Promise<void> {
    this.#ended ??= this.#close(drainMs)
    return this.#ended
  }

  async #close(drainMs: number): Promise<void> {
    this.#closing.abort()
    await this.#lanes.drain(drainMs)
    await this.#commits.flush(flushLimitMs)
    const session = this.#session
    this.#session = undefined
    // That leaving failed says nothing to whoever closes: the group gives a lost member up by itself.
    await session?.close().catch(() => undefined)
  }

  async #open(): Promise<void> {
    let lost: { readonly error: unknown } | undefined
    const sink: SessionSink = {
      assign: (member, partitions) => {
        if (lost !== undefined) return []
        this.#commits.own(partitions)
        return this.#lanes.assign(member, partitions)
      },
      offer: (partition, records, highWatermark) => {
        if (lost === undefined) this.#lanes.offer(partition, records, highWatermark)
      },
      held: (partition) => this.#lanes.held(partition),
      trouble: (error) => {
        if (lost === undefined && started && error.code === 'UNAVAILABLE') this.#trouble(error)
      },
      lost: (error) => {
        if (lost !== undefined) return
        lost = { error }
        if (this.#session === session && started) void this.#replace(session, error)
      },
    }
    let started = false
    const session = this.#createSession(sink)
    this.#session = session
    try {
      await Promise.race([session.start(), this.#closed()])
      if (lost !== undefined) throw lost.error
      started = true
    } catch (error) {
      lost ??= { error }
      await this.#drop(session)
      throw error
    }
  }

  /** Rejects once the consumer closes: neither library's start can be stopped. */
  #closed(): Promise<never> {
    const { promise, reject } = Promise.withResolvers<never>()
    const closed = () => reject(new KafkaError('CLOSED', `${this.#doing}: closed before it had started.`))
    if (this.#closing.signal.aborted) closed()
    else this.#closing.signal.addEventListener('abort', closed, { once: true })
    // It is waited for during the start only.
    promise.catch(() => undefined)
    return promise
  }

  async #drop(session: ConsumerSession): Promise<void> {
    if (this.#session === session) this.#session = undefined
    this.#lanes.revoke()
    this.#commits.own([])
    await session.close().catch((cause: unknown) => this.#report(cause))
  }

  /** After the first start a session is replaced whatever ended it: permissions and certificates get mended, too. */
  async #replace(session: ConsumerSession, error: unknown): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#report(error)
    await this.#drop(session)
    for (let failures = 0; !this.#closing.signal.aborted; failures += 1) {
      await this.#pause(failures)
      try {
        if (!this.#closing.signal.aborted) await this.#open()
        return
      } catch (cause) {
        if (!this.#closing.signal.aborted) this.#report(cause)
      }
    }
  }

  async #pause(failures: number): Promise<void> {
    const waitMs = Math.min(reopen.maxMs, reopen.firstMs * 2 ** failures)
    // Closing ends the wait early: that is all the abort has to say.
    await sleep(waitMs, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }

  /** The library retries twice a second for as long as no broker answers: one report every few seconds is enough. */
  #trouble(error: KafkaError): void {
    const nowMs = performance.now()
    if (nowMs < this.#quietUntilMs || this.#closing.signal.aborted) return
    this.#quietUntilMs = nowMs + troubleEveryMs
    this.#onError(error)
  }

  #report(cause: unknown): void {
    const error = kafkaError(cause, this.#doing)
    if (error.code === 'UNAVAILABLE') this.#trouble(error)
    else this.#onError(error)
  }
}

function notAMember(doing: string): KafkaError {
  return new KafkaError('NOT_A_MEMBER', `${doing}: the group is being joined.`)
}
