import { ok } from 'node:assert'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, spawnChild } from '../supervisor/child.ts'
import type { Part } from './part.ts'

const startMsMax = 40_000
const pollMs = 50

/** A part that runs, for tests that need nothing of the supervisor but its way of starting a process. */
export type RunningPart = {
  readonly part: Part
  readonly child: Child
  readonly readyMs: number
  readonly usableMs: number
}

/** Prepares, starts, waits for and provisions a part. On failure nothing of it is left. */
async function startPart(part: Part): Promise<RunningPart> {
  await part.prepare?.()
  const began = performance.now()
  const child = await spawnChild(part)
  try {
    let over: string | null = null
    void child.ended.then((ending) => {
      over = ending
    })
    while (!(await part.ready(AbortSignal.timeout(1_000)))) {
      ok(!over, `${part.name} ${over}: see ${part.logFile}`)
      ok(performance.now() - began < startMsMax, `${part.name} did not become ready: see ${part.logFile}`)
      await sleep(pollMs)
    }
    const readyMs = Math.round(performance.now() - began)
    await part.provision?.()
    return { part, child, readyMs, usableMs: Math.round(performance.now() - began) }
  } catch (error) {
    await child.end()
    throw error
  }
}

/** Starts several at once. When one fails the others are ended. */
export async function startParts(parts: readonly Part[]): Promise<readonly RunningPart[]> {
  const outcomes = await Promise.allSettled(parts.map(startPart))
  const running = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (!failed) return running
  await stopParts(running)
  throw failed.reason
}

export async function stopParts(running: readonly RunningPart[]): Promise<void> {
  await Promise.all(running.map(({ child }) => child.end()))
}
