import { setTimeout as sleep } from 'node:timers/promises'

/** Waits, or until the signal aborts: ending the wait is all that the abort has to say. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
