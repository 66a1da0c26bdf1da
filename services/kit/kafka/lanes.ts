import { createSlots, Lane, type LaneOptions } from './lane.ts'
import { settledWithin } from './limit.ts'
import type { ConsumeOptions, IncomingRecord, PartitionLag, PartitionOffset, TopicPartition } from './port.ts'

export type LanesOptions = Omit<LaneOptions, 'slots' | 'draining'> & Required<Pick<ConsumeOptions, 'partitionsAtOnce'>>

/**
 * The partitions that this member owns. Knows no client library: both adapters feed it, so at-least-once, order and
 * retry mean the same in both.
 */
export class Lanes {
  readonly #options: LaneOptions
  readonly #lanes = new Map<string, Lane>()
  /** The last lane of each partition, owned or not, because its handler may still run. */
  readonly #latest = new Map<string, Lane>()
  readonly #draining = new AbortController()
  #member: string | undefined

  constructor(options: LanesOptions) {
    this.#options = { ...options, slots: createSlots(options.partitionsAtOnce), draining: this.#draining.signal }
  }

  /**
   * Sets the partitions owned from now on. Where the member id is the same as before, nobody else owned the kept
   * partitions meanwhile and they go on where they are; all others are aborted. Answers where to fetch the kept ones from.
   */
  assign(member: string, partitions: readonly TopicPartition[]): PartitionOffset[] {
    const owned = new Set(partitions.map(keyOf))
    for (const [key, lane] of this.#lanes) {
      if (member !== this.#member || !owned.has(key)) this.#remove(key, lane)
    }
    this.#member = member
    const kept: PartitionOffset[] = []
    for (const { topic, partition } of partitions) {
      const fetchFrom = this.#open({ topic, partition }).fetchFrom
      if (fetchFrom !== undefined) kept.push({ topic, partition, offset: fetchFrom })
    }
    return kept
  }

  /** Takes fetched records, which follow on those offered before. Ignores a partition that is not owned. */
  offer(partition: TopicPartition, records: readonly IncomingRecord[], highWatermark: bigint): void {
    if (!this.#draining.signal.aborted) this.#lanes.get(keyOf(partition))?.offer(records, highWatermark)
  }

  /** Whether so much is queued that the partition should not be fetched. */
  held(partition: TopicPartition): boolean {
    return this.#lanes.get(keyOf(partition))?.held ?? false
  }

  /** Aborts every lane: the session is lost. */
  revoke(): void {
    for (const [key, lane] of this.#lanes) this.#remove(key, lane)
    this.#member = undefined
  }

  /** Starts no more handlers, waits for the running ones, and aborts those that take longer than the limit. */
  async drain(limitMs: number): Promise<void> {
    this.#draining.abort()
    await settledWithin(limitMs, Promise.all([...this.#lanes.values()].map((lane) => lane.settled())))
    this.revoke()
  }

  lag(): PartitionLag[] {
    return [...this.#lanes.values()].flatMap(({ topic, partition, lag }) =>
      lag === undefined ? [] : [{ topic, partition, lag }],
    )
  }

  assigned(): TopicPartition[] {
    return [...this.#lanes.values()].map(({ topic, partition }) => ({ topic, partition }))
  }

  #open(partition: TopicPartition): Lane {
    const key = keyOf(partition)
    const open = this.#lanes.get(key)
    if (open !== undefined) return open
    const previous = this.#latest.get(key)?.settled() ?? Promise.resolve()
    const lane = new Lane(partition, this.#options, previous)
    this.#lanes.set(key, lane)
    this.#latest.set(key, lane)
    return lane
  }

  #remove(key: string, lane: Lane): void {
    this.#lanes.delete(key)
    lane.abort()
  }
}

/** Names a partition in maps. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
