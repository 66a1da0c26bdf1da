import { setTimeout as sleep } from 'node:timers/promises'
import { createBell } from '../app/bell.ts'
import { keyOf } from './lanes.ts'
import { settledWithin } from './limit.ts'
import type { PartitionOffset, TopicPartition } from './port.ts'

const retryAfterMs = 100
/**
 * How long offsets gather after a commit. It bounds what a crash repeats, which consumers recognise; a commit for every record
 * would cost the broker and this process more than the record itself.
 */
const gatherMsDefault = 200

/**
 * Sends the newest handled offset of every partition to the group, one request at a time: while one is on its way, and for
 * a moment after it, the next ones gather, so that committing never holds up handling. A refused commit is tried again until it succeeds, is
 * overtaken by a newer one, or its partition is no longer owned.
 */
export class Commits {
  readonly #send: (offsets: PartitionOffset[]) => Promise<void>
  readonly #onRefused: (error: unknown) => void
  #owned = new Set<string>()
  #pending = new Map<string, PartitionOffset>()
  #sending: Promise<void> | undefined
  readonly #hurry = createBell()
  #flushing = false
  #ended = false
  readonly #gatherMs: number

  constructor(
    send: (offsets: PartitionOffset[]) => Promise<void>,
    onRefused: (error: unknown) => void,
    gatherMs = gatherMsDefault,
  ) {
    this.#gatherMs = gatherMs
    this.#send = send
    this.#onRefused = onRefused
  }

  mark(position: PartitionOffset): void {
    this.#pending.set(keyOf(position), position)
    this.#sending ??= this.#sendAll()
  }

  /** The partitions owned from now on. Drops what waits for others: another member's commits must not be rewound. */
  own(partitions: readonly TopicPartition[]): void {
    this.#owned = new Set(partitions.map(keyOf))
    for (const key of this.#pending.keys()) if (!this.#owned.has(key)) this.#pending.delete(key)
  }

  /** Waits until nothing is left to commit, or the limit has passed. A commit that is refused after it is not tried again. */
  async flush(limitMs: number): Promise<void> {
    this.#flushing = true
    this.#hurry.ring()
    await settledWithin(limitMs, this.#sending ?? Promise.resolve())
    this.#ended = true
    this.#pending.clear()
  }

  async #sendAll(): Promise<void> {
    while (this.#pending.size > 0) {
      const batch = this.#pending
      this.#pending = new Map()
      try {
        await this.#send([...batch.values()])
        if (!this.#flushing) await this.#hurry.wait(this.#gatherMs)
      } catch (error) {
        this.#onRefused(error)
        // The member closes and has no session any more: every further attempt would be refused, for good.
        if (this.#ended) continue
        for (const [key, position] of batch) {
          if (this.#owned.has(key) && !this.#pending.has(key)) this.#pending.set(key, position)
        }
        await sleep(retryAfterMs)
      }
    }
    this.#sending = undefined
  }
}
