import { setTimeout as sleep } from 'node:timers/promises'

/** What a load gave: one latency a call that was answered, and how many failed. */
export type LoadResult = { readonly latenciesMs: readonly number[]; readonly failures: readonly unknown[] }

/**
 * An open loop: calls begin at their times whether or not earlier ones were answered, and a latency counts from the time
 * at which the call was due. So a stall is seen by every call that it delays, not only by the one that met it.
 */
export async function openLoop(options: {
  perSecond: number
  seconds: number
  call: (index: number) => Promise<unknown>
}): Promise<LoadResult> {
  const { perSecond, seconds, call } = options
  const total = Math.round(perSecond * seconds)
  const latenciesMs: number[] = []
  const failures: unknown[] = []
  const underWay: Promise<void>[] = []
  const beganMs = performance.now()
  for (let index = 0; index < total; index++) {
    const dueMs = beganMs + (index * 1_000) / perSecond
    const aheadMs = dueMs - performance.now()
    if (aheadMs > 0) await sleep(aheadMs)
    underWay.push(
      call(index).then(
        () => void latenciesMs.push(performance.now() - dueMs),
        (error: unknown) => void failures.push(error),
      ),
    )
  }
  await Promise.all(underWay)
  return { latenciesMs, failures }
}

/** A closed loop: so many callers, each calling again as soon as it was answered. Gives calls and the time they took. */
export async function closedLoop(options: {
  callers: number
  seconds: number
  call: () => Promise<unknown>
}): Promise<{ calls: number; elapsedMs: number }> {
  const { callers, seconds, call } = options
  const beganMs = performance.now()
  const endMs = beganMs + seconds * 1_000
  let calls = 0
  const caller = async () => {
    while (performance.now() < endMs) {
      await call()
      calls++
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { calls, elapsedMs: performance.now() - beganMs }
}

/** A quantile of some figures, 0.5 for the median. NaN where there are none. */
export function quantile(figures: readonly number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
