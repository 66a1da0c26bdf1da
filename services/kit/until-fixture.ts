import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for what must come to be, asking every `everyMs`; fails with its name when it has not after `limitMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 20_000,
  everyMs = 5,
): Promise<void> {
  for (const end = Date.now() + limitMs; Date.now() < end; await sleep(everyMs)) if (await condition()) return
  throw new Error(`It did not come to be within ${limitMs} ms: ${what}`)
}
