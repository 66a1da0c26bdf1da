import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until the promise has settled, whichever way, or the limit has passed. Answers whether it has. */
export async function settledWithin(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  const settled = new AbortController()
  const outcome = promise.then(
    () => true,
    () => true,
  )
  // The abort only frees the timer.
  const limit = sleep(limitMs, false, { signal: settled.signal }).catch(() => false)
  try {
    return await Promise.race([outcome, limit])
  } finally {
    settled.abort()
  }
}
