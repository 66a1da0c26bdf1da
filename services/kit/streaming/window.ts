/** Windows of time, as pure functions: nothing here reads a clock. */

/** Tumbling windows: each begins where the one before ends, aligned to 1970. */
export type Windows = {
  readonly sizeMs: number
  /** How much later than the newest event of its partition one may come and still count in its window. */
  readonly latenessMs: number
  /** A partition in which nothing came for so long, and nothing waits, holds no window open. */
  readonly idleMs: number
}

/** Where the window begins that a time lies in. */
export function windowStart(timeMs: number, sizeMs: number): number {
  return Math.floor(timeMs / sizeMs) * sizeMs
}

/**
 * Whether an event comes too late for its window. It is the partition's own log that decides, and neither the other partitions
 * nor any clock: the same log gives the same answer whenever, by whomever and in whatever batches it is read.
 */
export function isLate(startsMs: number, newestMs: number, { sizeMs, latenessMs }: Windows): boolean {
  return startsMs + sizeMs + latenessMs <= newestMs
}

/** What the watermark needs to know of a partition. */
export type PartitionTime = { readonly newestMs: number; readonly idle: boolean }

/**
 * The time before which windows are closed: the slowest partition's newest event, less the lateness. An idle partition counts as
 * if an event had come `idleMs` ago, so that windows close also where nothing happens any more. Null where
 * no partition is known.
 */
export function watermark(partitions: readonly PartitionTime[], nowMs: number, windows: Windows): number | null {
  if (partitions.length === 0) return null
  const times = partitions.map(({ newestMs, idle }) => (idle ? Math.max(newestMs, nowMs - windows.idleMs) : newestMs))
  return Math.min(...times) - windows.latenessMs
}
