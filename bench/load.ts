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

/**
 * Open loops beside each other, each at this rate and a share of the period after the one before: what is compared meets the
 * same machine, and nothing is due at the same moment. Gives latencies; a call that failed is one that never ended.
 */
export async function besideEachOther<Name extends string>(
  calls: Readonly<Record<Name, (index: number) => Promise<unknown>>>,
  { perSecond, seconds }: { readonly perSecond: number; readonly seconds: number },
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const named = Object.entries<(index: number) => Promise<unknown>>(calls)
  const loads = named.map(async ([name, call], turn) => {
    await sleep((turn * 1_000) / (perSecond * named.length))
    const { latenciesMs, failures } = await openLoop({ perSecond, seconds, call })
    if (failures.length > 0)
      console.error(`${name}: ${failures.length} of ${perSecond * seconds} calls failed, the first: ${failures[0]}`)
    return [name, [...latenciesMs, ...failures.map(() => Number.POSITIVE_INFINITY)]] as const
  })
  return Object.fromEntries(await Promise.all(loads)) as Record<Name, readonly number[]>
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
