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

/** So far past a postponed record others are handled: what a new owner of the partition may have to be given again. */
const aheadMax = 1_000n

/**
 * One owned partition: a short queue of fetched records, those that wait for another attempt, and at most one running
 * handler.
 */
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
  /** Postponed records and, because they must not overtake them, those of the same keys that came since; by offset. */
  #waiting: IncomingRecord[] = []
  #retries = 0
  #retryAtMs = 0
  /** Ends the wait for the next retry. */
  #bell = new AbortController()
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
    // With each batch, and hardly ever is there somebody to wake: without a reason an error is made of each, with its stack.
    this.#bell.abort('new records')
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
    while (this.#queue.length + this.#waiting.length > 0 && !this.#stopped()) {
      const retry = this.#waiting.length > 0 && performance.now() >= this.#retryAtMs
      if (!retry && !this.#mayGoOn()) {
        this.#bell = new AbortController()
        await this.#pause(this.#retryAtMs - performance.now(), this.#bell.signal)
        continue
      }
      await this.#options.slots.take()
      try {
        if (!this.#stopped()) await (retry ? this.#retry() : this.#advance())
      } finally {
        this.#options.slots.give()
      }
      if (this.#failures > 0) await this.#pause(this.#backoffMs(this.#failures))
    }
    this.#working = undefined
  }

  #mayGoOn(): boolean {
    const [next] = this.#queue
    if (next === undefined) return false
    const [held] = this.#waiting
    return held === undefined || next.offset - held.offset < aheadMax
  }

  /** Handles what waits. */
  async #retry(): Promise<void> {
    const records = this.#waiting.slice(0, this.#options.batchMax)
    const postponed = await this.#attempt(records, Math.max(this.#retries, this.#failures) + 1)
    if (postponed === undefined || postponed.size === 0) return
    this.#retries = postponed.size < records.length ? 1 : this.#retries + 1
    this.#retryAtMs = performance.now() + this.#backoffMs(this.#retries)
  }

  /** Handles what comes next, save what has to stay behind a postponed record. */
  async #advance(): Promise<void> {
    const keys = new Set(this.#waiting.map(({ key }) => key))
    const head = this.#queue.slice(0, this.#options.batchMax)
    const behind = new Set(head.filter(({ key }) => key !== '' && keys.has(key)))
    const records = head.filter((record) => !behind.has(record))
    this.#wait(behind)
    if (records.length === 0) return
    const postponed = await this.#attempt(records, this.#failures + 1)
    if (postponed === undefined || postponed.size === 0) return
    if (keys.size === 0) {
      this.#retries = 1
      this.#retryAtMs = performance.now() + this.#backoffMs(1)
    }
  }

  /** Answers the records that were postponed, which wait from now on; `undefined` when the handler threw. */
  async #attempt(records: readonly IncomingRecord[], attempt: number): Promise<Set<IncomingRecord> | undefined> {
    const { topic, partition } = this
    const { signal } = this.#abort
    const [first] = records
    const where = `${topic}[${partition}]@${first?.offset}`
    const settled = new Set<IncomingRecord>()
    const postponed = new Set<IncomingRecord>()
    const done = (offset: bigint) => {
      if (signal.aborted) return
      const handled = records.filter((record) => record.offset <= offset && !settled.has(record))
      for (const record of handled) settled.add(record)
      this.#settle(new Set(handled))
    }
    const postpone = (offsets: readonly bigint[], cause: unknown) => {
      for (const record of records) {
        if (offsets.includes(record.offset) && !settled.has(record)) postponed.add(record)
      }
      if (!signal.aborted) this.#options.onError(handlerFailed(where, attempt, cause))
    }
    const batch = { topic, partition, records, highWatermark: this.#highWatermark }
    try {
      await this.#options.handle(batch, { signal, attempt, done, postpone })
      if (signal.aborted) return undefined
      this.#wait(postponed)
      this.#settle(new Set(records.filter((record) => !postponed.has(record) && !settled.has(record))))
      this.#failures = 0
      return postponed
    } catch (cause) {
      if (signal.aborted) return undefined
      this.#failures = settled.size > 0 ? 1 : this.#failures + 1
      this.#options.onError(handlerFailed(where, this.#failures, cause))
      return undefined
    }
  }

  /** Lets records wait for the next retry. */
  #wait(records: ReadonlySet<IncomingRecord>): void {
    if (records.size === 0) return
    this.#queue = this.#queue.filter((record) => !records.has(record))
    const all = new Set([...this.#waiting, ...records])
    this.#waiting = [...all].sort((a, b) => (a.offset < b.offset ? -1 : 1))
    this.#hold()
  }

  /** Drops handled records. What is committed ends at the first record left. */
  #settle(handled: ReadonlySet<IncomingRecord>): void {
    if (handled.size === 0) return
    this.#queue = this.#queue.filter((record) => !handled.has(record))
    this.#waiting = this.#waiting.filter((record) => !handled.has(record))
    for (const record of handled) this.#queuedBytes -= record.value.length
    const left = [this.#waiting[0], this.#queue[0]].flatMap((record) => record?.offset ?? [])
    const position = left.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined)
    this.#moveTo(position ?? this.fetchFrom)
    this.#hold()
  }

  #moveTo(position: bigint | undefined): void {
    if (position === undefined || position === this.#position) return
    this.#position = position
    this.#options.onHandled({ topic: this.topic, partition: this.partition, offset: position })
  }

  #hold(): void {
    // Held at two batches and released at one, so that the next batch is at hand while a fetch goes round.
    const recordsMax = (this.held ? 1 : 2) * this.#options.batchMax
    const held = this.#queue.length > recordsMax || this.#queuedBytes > queuedBytesMax
    if (held === this.held) return
    this.held = held
    this.#options.onHold(this, held)
  }

  #backoffMs(failures: number): number {
    const { firstMs, maxMs } = this.#options.backoff
    return Math.min(maxMs, firstMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2)
  }

  async #pause(ms: number, bell?: AbortSignal): Promise<void> {
    const signals = [this.#abort.signal, this.#options.draining]
    const signal = AbortSignal.any(bell ? [...signals, bell] : signals)
    // An abort ends the wait early: that is all it has to say here.
    await sleep(ms, undefined, { signal }).catch(() => undefined)
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
