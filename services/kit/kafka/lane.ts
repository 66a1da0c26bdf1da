import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ConsumeOptions,
  type IncomingRecord,
  KafkaError,
  type PartitionOffset,
  type TopicPartition,
} from './port.ts'

export type LaneOptions = Required<Pick<ConsumeOptions, 'handle' | 'batchMax' | 'backoff'>> & {
  /** Shared by all lanes: how many handlers run at a time. */
  readonly slots: Slots
  /** Aborts when the consumer drains: no further handler starts. */
  readonly draining: AbortSignal
  /** Every record before this offset is handled. */
  readonly onHandled: (position: PartitionOffset) => void
  /** Stop fetching this partition (`true`), or fetch it again (`false`). */
  readonly onHold: (partition: TopicPartition, hold: boolean) => void
  readonly onError: (error: KafkaError) => void
}

/** Beyond this many bytes a partition is not fetched, however few records they are. */
const queuedBytesMax = 1_048_576

/** One owned partition: a short queue of fetched records, and at most one running handler. */
export class Lane {
  readonly topic: string
  readonly partition: number
  /** The offset after the last record offered. */
  fetchFrom: bigint | undefined
  held = false
  readonly #options: LaneOptions
  readonly #abort = new AbortController()
  readonly #previous: Promise<void>
  #queue: IncomingRecord[] = []
  #queuedBytes = 0
  /** The first offset that is not handled; unknown until records arrive. */
  #position: bigint | undefined
  #highWatermark = 0n
  #failures = 0
  #working: Promise<void> | undefined

  /** `previous` is the work of this partition's lane before: never two handlers of one partition in one process. */
  constructor({ topic, partition }: TopicPartition, options: LaneOptions, previous: Promise<void>) {
    this.topic = topic
    this.partition = partition
    this.#options = options
    this.#previous = previous
  }

  /** Records past the last one handled, as of the last fetch; `undefined` before the first. */
  get lag(): number | undefined {
    if (this.#position === undefined) return undefined
    return Math.max(0, Number(this.#highWatermark - this.#position))
  }

  offer(records: readonly IncomingRecord[], highWatermark: bigint): void {
    this.#highWatermark = highWatermark
    const [first, last] = [records.at(0), records.at(-1)]
    if (first === undefined || last === undefined) return
    this.#position ??= first.offset
    this.fetchFrom = last.offset + 1n
    this.#queue.push(...records)
    for (const record of records) this.#queuedBytes += record.value.length
    this.#hold()
    this.#working ??= this.#work()
  }

  /** The partition is another's, or the consumer closes. */
  abort(): void {
    this.#abort.abort()
    if (this.held) this.#options.onHold(this, false)
    this.held = false
  }

  /** Resolves when no handler of this partition runs. */
  async settled(): Promise<void> {
    await this.#previous
    await this.#working
  }

  async #work(): Promise<void> {
    await this.#previous
    while (this.#queue.length > 0 && !this.#stopped()) {
      await this.#options.slots.take()
      try {
        if (!this.#stopped()) await this.#attempt()
      } finally {
        this.#options.slots.give()
      }
      if (this.#failures > 0) await this.#backOff()
    }
    this.#working = undefined
  }

  async #attempt(): Promise<void> {
    const { topic, partition } = this
    const { signal } = this.#abort
    const records = this.#queue.slice(0, this.#options.batchMax)
    let progressed = false
    const done = (offset: bigint) => {
      if (!signal.aborted && this.#settle(offset)) progressed = true
    }
    const batch = { topic, partition, records, highWatermark: this.#highWatermark }
    try {
      await this.#options.handle(batch, { signal, attempt: this.#failures + 1, done })
      done(records.at(-1)?.offset ?? -1n)
      this.#failures = 0
    } catch (cause) {
      if (signal.aborted) return
      this.#failures = progressed ? 1 : this.#failures + 1
      this.#options.onError(handlerFailed(`${topic}[${partition}]@${this.#position}`, this.#failures, cause))
    }
  }

  /** Drops the handled records from the queue. Answers whether there were any. */
  #settle(offset: bigint): boolean {
    const next = this.#queue.findIndex((record) => record.offset > offset)
    const handled = this.#queue.splice(0, next === -1 ? this.#queue.length : next)
    const last = handled.at(-1)
    if (last === undefined) return false
    for (const record of handled) this.#queuedBytes -= record.value.length
    this.#position = last.offset + 1n
    this.#options.onHandled({ topic: this.topic, partition: this.partition, offset: this.#position })
    this.#hold()
    return true
  }

  #hold(): void {
    // Held at two batches and released at one, so that the next batch is at hand while a fetch goes round.
    const recordsMax = (this.held ? 1 : 2) * this.#options.batchMax
    const held = this.#queue.length > recordsMax || this.#queuedBytes > queuedBytesMax
    if (held === this.held) return
    this.held = held
    this.#options.onHold(this, held)
  }

  async #backOff(): Promise<void> {
    const { firstMs, maxMs } = this.#options.backoff
    const waitMs = Math.min(maxMs, firstMs * 2 ** (this.#failures - 1)) * (0.5 + Math.random() / 2)
    const signal = AbortSignal.any([this.#abort.signal, this.#options.draining])
    // An abort ends the wait early: that is all it has to say here.
    await sleep(waitMs, undefined, { signal }).catch(() => undefined)
  }

  #stopped(): boolean {
    return this.#abort.signal.aborted || this.#options.draining.aborted
  }
}

function handlerFailed(where: string, attempt: number, cause: unknown): KafkaError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new KafkaError('HANDLER_FAILED', `The handler of ${where} failed in attempt ${attempt}: ${reason}`, cause)
}

export type Slots = { take(): Promise<void>; give(): void }

/** At most `count` holders at a time, first come first served. */
export function createSlots(count: number): Slots {
  const waiting: (() => void)[] = []
  let free = count
  return {
    take(): Promise<void> {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve))
      free -= 1
      return Promise.resolve()
    },
    give(): void {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    },
  }
}
