import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ProcessSpec } from '../process.ts'
import { type Child, spawnChild } from './child.ts'
import type { Clock } from './clock.ts'
import { evolve, type ProcessEvent, type ProcessRecord, stoppedRecord } from './record.ts'

/** What a process meets in its run. */
export type Surroundings = {
  readonly clock: Clock
  /** How long a start may take, from the spawn until it is usable. */
  readonly startMsMax: number
  /** Resolves when all of these are usable, or the signal aborts. */
  usable(names: readonly string[], signal: AbortSignal): Promise<void>
  /** Called after every change of the record, the child being already there or gone. */
  changed(life: Life): void
}

const probeMsMin = 10
const probeMsMax = 100
const probeMsWhenReady = 5_000
const probeMsWhenDegraded = 500
const oneProbeMsMax = 1_000

/** One process, kept alive: started when its needs are usable, watched, started again with backoff when it ends. */
export class Life {
  readonly spec: ProcessSpec
  record: ProcessRecord = stoppedRecord
  child: Child | null = null
  /** Where in the log the lines of its last life begin. */
  logFrom = 0
  readonly #around: Surroundings
  #run: { readonly stop: AbortController; readonly done: Promise<void> } | null = null

  constructor(spec: ProcessSpec, around: Surroundings) {
    this.spec = spec
    this.#around = around
  }

  /** Whether others may use it. */
  get usable(): boolean {
    return this.record.readyAtMs !== null
  }

  /** Begins to keep it alive; does nothing when that is so already. */
  begin(): void {
    if (this.#run && this.record.state !== 'failed') return
    const stop = new AbortController()
    this.#run = { stop, done: this.#keepAlive(stop.signal) }
  }

  /** Ends it and keeps it stopped. Resolves when nothing of it is left. */
  async end(): Promise<void> {
    const run = this.#run
    if (!run) return
    if (this.child) this.#note({ kind: 'stopping' })
    run.stop.abort()
    await run.done
    // Somebody else who ended it at the same time may have begun it again by now.
    if (this.#run !== run) return
    this.#run = null
    this.#note({ kind: 'stopped' })
  }

  async #keepAlive(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const ending = await this.#once(stop).catch(
        (error: unknown): ProcessEvent => ({ kind: 'failed', how: text(error) }),
      )
      await this.child?.end()
      this.child = null
      this.#removeSockets()
      if (stop.aborted) return
      this.#note(ending)
      if (ending.kind === 'failed') return
      await this.#around.clock.sleep(this.record.delayMs, stop)
    }
  }

  /** One life, from waiting for its needs to its end. Throws what another start would not mend. */
  async #once(stop: AbortSignal): Promise<ProcessEvent> {
    const { spec } = this
    if (spec.needs.length > 0) {
      this.#note({ kind: 'waits', for: spec.needs })
      await this.#around.usable(spec.needs, stop)
    }
    if (stop.aborted) return { kind: 'stopped' }
    this.#note({ kind: 'prepares' })
    await spec.prepare?.()
    this.#removeSockets()
    for (const socket of spec.sockets) mkdirSync(dirname(socket), { recursive: true, mode: 0o700 })
    if (stop.aborted) return { kind: 'stopped' }
    const child = await spawnChild(spec)
    this.child = child
    this.logFrom = child.logFrom
    this.#note({ kind: 'spawned', pid: child.pid })
    const over = new AbortController()
    const end = (): void => over.abort()
    stop.addEventListener('abort', end, { once: true })
    const ended = child.ended.finally(end)
    try {
      const outcome = await this.#becomeReady(over.signal)
      if (typeof outcome === 'object') return outcome
      if (outcome === 'ready') await this.#watch(over.signal)
      if (stop.aborted) return { kind: 'stopped' }
      return { kind: 'ended', how: await ended }
    } finally {
      stop.removeEventListener('abort', end)
    }
  }

  async #becomeReady(over: AbortSignal): Promise<'ready' | 'over' | ProcessEvent> {
    const { clock, startMsMax } = this.#around
    const until = clock.nowMs() + startMsMax
    for (let waitMs = probeMsMin; !(await this.#probe(over)); waitMs = Math.min(probeMsMax, waitMs * 1.5)) {
      if (over.aborted) return 'over'
      if (clock.nowMs() > until) {
        return { kind: 'ended', how: `was not ready within ${startMsMax / 1000} s`, late: true }
      }
      await clock.sleep(waitMs, over)
    }
    if (over.aborted) return 'over'
    if (this.spec.provision) {
      this.#note({ kind: 'answers' })
      const failure = await this.#provision(over)
      if (failure) return failure
    }
    if (over.aborted) return 'over'
    this.#note({ kind: 'ready' })
    return 'ready'
  }

  /**
   * A failure counts as an end, as a broker that has just come back may refuse for a while; but when the process ended
   * meanwhile, that is the reason.
   */
  async #provision(over: AbortSignal): Promise<ProcessEvent | null> {
    try {
      await Promise.race([this.spec.provision?.(), aborted(over)])
    } catch (error) {
      if (!over.aborted) return { kind: 'ended', how: `cannot be provisioned: ${text(error)}` }
    }
    return null
  }

  async #watch(over: AbortSignal): Promise<void> {
    for (;;) {
      const degraded = this.record.state === 'degraded'
      await this.#around.clock.sleep(degraded ? probeMsWhenDegraded : probeMsWhenReady, over)
      if (over.aborted) return
      const answers = await this.#probe(over).catch(() => false)
      if (over.aborted) return
      if (answers !== (this.record.state === 'ready')) this.#note({ kind: answers ? 'ready' : 'unready' })
    }
  }

  async #probe(over: AbortSignal): Promise<boolean> {
    const probe = new AbortController()
    const abort = (): void => probe.abort()
    const timer = setTimeout(abort, oneProbeMsMax)
    over.addEventListener('abort', abort, { once: true })
    try {
      return await this.spec.ready(probe.signal)
    } catch (error) {
      if (probe.signal.aborted) return false
      throw error
    } finally {
      clearTimeout(timer)
      over.removeEventListener('abort', abort)
    }
  }

  #removeSockets(): void {
    for (const socket of this.spec.sockets) rmSync(socket, { force: true })
  }

  #note(event: ProcessEvent): void {
    this.record = evolve(this.record, event, this.#around.clock.nowMs())
    this.#around.changed(this)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
