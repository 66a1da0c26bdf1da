import type { Endpoint } from './layout.ts'

/**
 * One process of a run, of any kind. The supervisor knows nothing else about what it starts: a broker, a sidecar, a
 * service and a stand-in differ only in these fields.
 *
 * The order for each: every `needs` is usable → `prepare` → spawn → `ready` polled until true → `provision` → usable.
 */
export type ProcessSpec = {
  /** Unique in the run: `kafka`, `orders`, `orders.sidecar`. */
  readonly name: string
  readonly kind: 'part' | 'sidecar' | 'service' | 'standin'
  /** The program, absolute, and its arguments. */
  readonly argv: readonly [program: string, ...args: string[]]
  /** The whole environment: nothing of the supervisor's own is added. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Whom it runs as; null stands for the supervisor's own user. Only set when the supervisor is root. */
  readonly user: UserIds | null
  /** Receives standard output and standard error, appended; rotated by the supervisor. */
  readonly logFile: string
  /** Names of processes that must be usable before this one starts. */
  readonly needs: readonly string[]
  /** What it will listen on. Taken ones are reported by name before anything starts. */
  readonly listens: readonly Endpoint[]
  /** Socket files that it creates; leftovers are removed before it starts and after it ended. */
  readonly sockets: readonly string[]
  /** Inotify instances that it will hold. A shortage is reported before anything starts. Default: none. */
  readonly inotifyInstances?: number
  /** Where people reach it, for `up` and `status`; empty for most. */
  readonly urls: readonly string[]
  /** Writes files, formats stores. Idempotent: run before every start, restarts included. */
  prepare?(): Promise<void>
  /**
   * Whether it answers its own protocol now. Polled, never concurrently; false for "not yet". It throws only for what
   * waiting cannot mend. One probe ends within a second and honours the signal.
   */
  ready(signal: AbortSignal): Promise<boolean>
  /** Brings what lives inside it (topics, roles) to what the plan says. Idempotent, run after every `ready`. */
  provision?(): Promise<void>
  /** Makes it take renewed certificates up without a restart; absent where it needs nothing of the kind. */
  reload?(): Promise<void>
  /** How it is asked to end, and after how long the whole process group is killed. */
  readonly stop: { readonly signal: 'SIGTERM' | 'SIGINT'; readonly graceMs: number }
}

/** A user and a group by number. */
export type UserIds = { readonly uid: number; readonly gid: number }
