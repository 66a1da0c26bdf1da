/** The Kafka clients that implement this port. Both pass the same contract suite. */
export type KafkaClient = 'kafkajs' | 'platformatic'

/** PEM files. They are read again for each new connection, so a rotated certificate is used without a restart. */
export type TlsFiles = { readonly caFile: string; readonly certFile: string; readonly keyFile: string }

/** What every connection of this process to the cluster needs. */
export type KafkaOptions = {
  /** Names this process in the broker's logs and quotas. */
  readonly clientId: string
  /** `host:port`, any of which may be asked first. */
  readonly brokers: readonly string[]
  /** `undefined` speaks plain text. */
  readonly tls: TlsFiles | undefined
  /** Told of every failure that no promise carries: a handler that threw, a lost session, a refused commit. */
  readonly onError: (error: KafkaError) => void
}

/** One process's way to a Kafka cluster. Opens nothing until a producer sends or a consumer starts. */
export type Kafka = {
  producer(options?: ProducerOptions): Producer
  /**
   * Joins the group and handles records until `close`. Resolves with the first assignment. While no broker answers it
   * keeps trying and reports to `onError`; rejects with a {@link KafkaError} that is not retriable (no permission, no
   * trusted certificate). Once it has started, a lost session is replaced by a new one, whatever the reason.
   */
  consume(options: ConsumeOptions): Promise<Consumer>
  /** Where the logs of these topics begin now: what came before was deleted. Rejects with a {@link KafkaError}, after 10 s at most. */
  beginnings(topics: readonly string[]): Promise<readonly PartitionOffset[]>
}

/** The limits of a producer. */
export type ProducerOptions = {
  /** How long one `send` may take, with the client's own retries. Default 10 000. */
  readonly deliveryTimeoutMs?: number
}

/** Idempotent, acknowledged by all in-sync replicas. */
export type Producer = {
  /**
   * Resolves once every record is acknowledged. Sends of one producer run one after the other, in the order of the
   * calls, so records of one key keep their order; batch for throughput. Records that exceed one request are sent in
   * several, in order. Rejects with a {@link KafkaError}; when that is retriable the outcome is unknown (some records
   * may have been written): send them again, and let the consumer's inbox drop the repeats.
   */
  send(records: readonly OutgoingRecord[]): Promise<void>
  /** Waits for the sends that have begun. */
  close(): Promise<void>
}

/** A record to be written. Key and headers are text, written as UTF-8. */
export type OutgoingRecord = {
  readonly topic: string
  /** Records of one key go to one partition: murmur2 of its UTF-8, as in the Java client. */
  readonly key: string
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>>
  /** Overrides the partition that the key gives. */
  readonly partition?: number
}

/** A record and its key, value and headers together may not exceed this many bytes. */
export const recordBytesMax = 900_000

/** What a member of a group reads, and how it handles it. */
export type ConsumeOptions = {
  readonly groupId: string
  readonly topics: readonly string[]
  /**
   * Where a group without a committed offset begins. With `latest`, records written between the start and a crash before
   * the first commit are skipped.
   */
  readonly from: 'earliest' | 'latest'
  /**
   * Where partitions begin that are newly assigned, for a member that keeps its offsets with its effects: asked before their
   * first fetch, and stronger than what the group has committed. Partitions that it leaves out begin where the group stands, and
   * offsets that the log no longer holds, where `from` says. Where it rejects, the session ends and the next one asks again.
   */
  readonly startAt?: (partitions: readonly TopicPartition[]) => Promise<readonly PartitionOffset[]>
  /** How many partitions are handled at the same time. Default 4. */
  readonly partitionsAtOnce?: number
  /** The most records one call of `handle` receives. Default 100. */
  readonly batchMax?: number
  /** The wait before a failed batch is handled again: doubles from `firstMs` to `maxMs`, with jitter. Default 200 and 10 000. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }
  /**
   * How long records gather at the broker after a fetch that reached the end of a partition, 1,000 at most; what comes after a
   * silence is fetched at once. For effects that nobody waits for: a fetch costs the broker and this process more than a record. Default 0.
   */
  readonly gatherMs?: number
  /** Gives up a start under way: `consume` then resolves with a consumer that is closed. */
  readonly signal?: AbortSignal
  /**
   * Handles records of one partition in their order; one call a partition at a time. When it returns, the batch's
   * offset is committed. When it throws, nothing more of the batch is committed and the partition is handled again from
   * the first record not `done`, after the backoff; other partitions go on. Records that it `postpone`d wait for the
   * backoff alone, and the partition goes on past them, up to 1,000 offsets: records of their keys that come meanwhile
   * stay behind them, and nothing from the first of them on is committed.
   */
  readonly handle: (batch: Batch, context: HandleContext) => Promise<void>
}

/** Records of one partition in their order; those that wait for another attempt are left out. */
export type Batch = {
  readonly topic: string
  readonly partition: number
  /** Never empty. */
  readonly records: readonly IncomingRecord[]
  /** The offset that the next record written to this partition gets, as of the fetch. */
  readonly highWatermark: bigint
}

/** A record as read. Key and headers are read as UTF-8. */
export type IncomingRecord = {
  readonly offset: bigint
  /** Empty where the record has none. */
  readonly key: string
  /** Empty where the record has none. */
  readonly value: Buffer
  readonly headers: Readonly<Record<string, string>>
  readonly timestampMs: number
}

/** What a handler knows of its place, and how it says how far it got. */
export type HandleContext = {
  /** Aborts when the partition is taken away (rebalance, lost session) or the drain limit of `close` has passed: the result no longer counts. */
  readonly signal: AbortSignal
  /** The first record's attempt, from 1. Attempts are counted by this process: a new owner of the partition begins at 1. */
  readonly attempt: number
  /** Marks all records up to and with this offset as handled: they are committed even when the handler then throws. */
  done(offset: bigint): void
  /** Leaves these records, which failed or follow one of their key that did, for after the backoff; without effect when the handler throws. */
  postpone(offsets: readonly bigint[], cause: unknown): void
}

/** A running member of a group. */
export type Consumer = {
  /** For each partition owned that had records: how many there are past the last one handled, as of the last fetch. */
  lag(): PartitionLag[]
  assigned(): TopicPartition[]
  /** Takes no new batch, waits for running handlers up to `drainMs` (default 5 000), commits, and leaves the group at once. */
  close(options?: { readonly drainMs?: number }): Promise<void>
}

/** One partition of a topic. */
export type TopicPartition = { readonly topic: string; readonly partition: number }
/** How many records of a partition are not handled yet. */
export type PartitionLag = TopicPartition & { readonly lag: number }
/** A place in a partition: everything before the offset is handled, or fetched. */
export type PartitionOffset = TopicPartition & { readonly offset: bigint }

const retriableByCode = {
  /** No broker answers, or the connection was lost. */
  UNAVAILABLE: true,
  /** `deliveryTimeoutMs` passed. */
  TIMED_OUT: true,
  /** The broker no longer knows this producer's sequence. The next send starts a new one. */
  PRODUCER_STATE_LOST: true,
  /** The topic, or the partition, does not exist (yet). */
  UNKNOWN_TOPIC: true,
  /** A handler threw; only ever told to `onError`. */
  HANDLER_FAILED: true,
  /** The group is being reassigned, or this member was removed from it; only ever told to `onError`. */
  NOT_A_MEMBER: true,
  /** TLS: one side refused the other's certificate. */
  AUTHENTICATION_FAILED: false,
  /** The principal lacks the permission for this topic, group or cluster operation. */
  NOT_AUTHORIZED: false,
  /** A record exceeds `recordBytesMax`, or a batch the topic's own limit. */
  RECORD_TOO_LARGE: false,
  /** An option is missing or wrong, or a TLS file cannot be read. */
  BAD_OPTIONS: false,
  /** Used after `close`. */
  CLOSED: false,
  /** Anything else, with the client's message. */
  OTHER: true,
} as const

/** The codes of {@link KafkaError}, each with its meaning above. */
export type KafkaErrorCode = keyof typeof retriableByCode

/** The one error of this port. `cause` is what the client library threw. */
export class KafkaError extends Error {
  override readonly name = 'KafkaError'
  readonly code: KafkaErrorCode
  /** Whether the same call may succeed later, unchanged. */
  readonly retriable: boolean

  constructor(code: KafkaErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.retriable = retriableByCode[code]
  }
}
