import type { ProcessSpec } from '../process.ts'
import { type Clock, realClock } from './clock.ts'
import { failureOf, RunFailure } from './failure.ts'
import { Life } from './life.ts'
import { membersOf, orderProblems, podNames, stopWaves } from './order.ts'
import { isHopeless } from './record.ts'

/** What tests change, and who wants to be told. */
export type SupervisorOptions = {
  readonly clock?: Clock
  /** How long one process may take from its spawn until it is usable. Default 60 s. */
  readonly startMsMax?: number
  /** Told of every change of a process. */
  readonly changed?: (life: Life) => void
}

/** A name that is none of the run's. Its message lists those that are. */
export class UnknownProcess extends Error {
  override readonly name = 'UnknownProcess'
}

/** Keeps the processes of one run alive. */
export class Supervisor {
  readonly lives: readonly Life[]
  readonly #waiters = new Set<() => void>()
  #isEnding = false

  constructor(specs: readonly ProcessSpec[], options: SupervisorOptions = {}) {
    const problems = orderProblems(specs)
    if (problems.length > 0) throw new Error(`The processes of the run cannot be put in order: ${problems.join('; ')}.`)
    const { clock = realClock, startMsMax = 60_000 } = options
    const around = {
      clock,
      startMsMax,
      usable: async (names: readonly string[], signal: AbortSignal) => {
        const needed = this.lives.filter((life) => names.includes(life.spec.name))
        await this.#until(() => needed.every((life) => life.usable), signal)
      },
      changed: (life: Life) => {
        options.changed?.(life)
        for (const look of this.#waiters) look()
      },
    }
    this.lives = specs.map((spec) => new Life(spec, around))
  }

  /**
   * Starts everything, each as soon as what it needs is usable. Resolves when all are ready, or the signal aborts.
   * @throws RunFailure for the first process that does not become ready; the others are left as they are
   */
  async start(signal: AbortSignal = new AbortController().signal): Promise<void> {
    this.#begin(this.lives)
    await this.#untilReady(this.lives, signal)
  }

  /** Starts a service with its sidecar, a stand-in or a part, and waits until it is ready. Throws as `start` does, and UnknownProcess. */
  async startOne(name: string): Promise<void> {
    const members = this.#find(name)
    this.#refuseMissingNeeds(name, members)
    this.#begin(members)
    await this.#untilReady(members)
  }

  /** Stops a service with its sidecar, as a pod vanishes, or a part. It stays stopped. Throws UnknownProcess. */
  async stopOne(name: string): Promise<void> {
    await endInOrder(this.#find(name))
  }

  /**
   * Stops and starts, and waits until it is ready. `applicationOnly` leaves a service's sidecar as it is.
   * Throws as `startOne` does.
   */
  async restartOne(name: string, applicationOnly = false): Promise<void> {
    const members = this.#find(name).filter((life) => !applicationOnly || life.spec.name === name)
    this.#refuseMissingNeeds(name, members)
    await endInOrder(members)
    this.#begin(members)
    await this.#untilReady(members)
  }

  /** Stops everything for good: services, then sidecars, then parts. Never fails; what does not end is killed. */
  async stopAll(): Promise<void> {
    this.#isEnding = true
    await endInOrder(this.lives)
  }

  /** Tells every process that can to take renewed certificates up. Gives the failures back, a sentence each. */
  async reload(): Promise<string[]> {
    const results = await Promise.allSettled(
      this.lives.filter((life) => life.usable).map(async (life) => life.spec.reload?.()),
    )
    return results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []))
  }

  /** A restart that is under way when everything is stopped would leave behind what it starts. */
  #begin(lives: readonly Life[]): void {
    if (this.#isEnding) throw new RunFailure('The run is being stopped: nothing is started any more.')
    for (const life of lives) life.begin()
  }

  #find(name: string): Life[] {
    const specs = this.lives.map((life) => life.spec)
    const members = membersOf(specs, name)
    if (members.length === 0) {
      throw new UnknownProcess(`There is no ${name} in this run. There are: ${podNames(specs).join(', ')}.`)
    }
    return this.lives.filter((life) => members.includes(life.spec))
  }

  #refuseMissingNeeds(name: string, members: readonly Life[]): void {
    const own = members.map((life) => life.spec.name)
    const needs = members.flatMap((life) => life.spec.needs).filter((need) => !own.includes(need))
    const stopped = this.lives.filter(({ spec, record }) => needs.includes(spec.name) && record.state === 'stopped')
    const [first] = stopped
    if (!first) return
    throw new RunFailure(
      `${name} needs ${stopped.map((life) => life.spec.name).join(' and ')}, which is stopped. Start it first: bin/parley start ${first.spec.name.split('.')[0]}`,
    )
  }

  async #untilReady(lives: readonly Life[], signal = new AbortController().signal): Promise<void> {
    const settled = (): boolean =>
      lives.some((life) => isHopeless(life.record)) ||
      lives.every((life) => life.usable || life.record.state === 'stopped')
    await this.#until(settled, signal)
    const hopeless = lives.find((life) => isHopeless(life.record))
    if (hopeless) throw failureOf(hopeless)
  }

  #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds() && !signal.aborted) return
        this.#waiters.delete(look)
        signal.removeEventListener('abort', look)
        resolve()
      }
      this.#waiters.add(look)
      signal.addEventListener('abort', look)
      look()
    })
  }
}

async function endInOrder(lives: readonly Life[]): Promise<void> {
  for (const wave of stopWaves(lives.map((life) => life.spec))) {
    await Promise.all(lives.filter((life) => wave.includes(life.spec)).map((life) => life.end()))
  }
}
