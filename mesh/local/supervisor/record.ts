/** How one supervised process is, as pure data; `evolve` is the only way in which it changes. */
export type ProcessRecord = {
  readonly state: ProcessState
  /** What it is about, or what is wrong, in a few words. */
  readonly detail: string | null
  readonly pid: number | null
  readonly spawnedAtMs: number | null
  /** When it last became usable; null when it is not. */
  readonly readyAtMs: number | null
  /** Times in a row that it ended unasked, without having been usable for `healthyMs` in between. */
  readonly failures: number
  /** Times that it was started again because it had ended unasked. */
  readonly restarts: number
  /** How it last ended, or was given up, unasked. */
  readonly lastExit: string | null
  /** How long it waits before the next start; only in `backoff`. */
  readonly delayMs: number
}

/**
 * `starting` until it is usable · `ready` · `degraded` it runs and was ready, but does not say so now · `backoff` it ended
 * and will be started again · `failed` it cannot be started until something is changed · `stopped` somebody asked for it.
 */
export type ProcessState = 'starting' | 'ready' | 'degraded' | 'stopped' | 'failed' | 'backoff'

export type ProcessEvent =
  | { readonly kind: 'waits'; readonly for: readonly string[] }
  | { readonly kind: 'prepares' }
  | { readonly kind: 'spawned'; readonly pid: number }
  | { readonly kind: 'answers' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'unready' }
  /** `late`: it was not usable within its time, and was ended for that. */
  | { readonly kind: 'ended'; readonly how: string; readonly late?: boolean }
  | { readonly kind: 'failed'; readonly how: string }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'stopped' }

/** The first wait before a restart; each further one is twice as long. */
const backoffBaseMs = 250
const backoffMaxMs = 10_000
/** A process that was usable for this long has earned a fresh count. */
const healthyMs = 30_000
/** After so many failures in a row, whoever waits for a process to become usable is told that it does not. */
const patience = 3

export const stoppedRecord: ProcessRecord = {
  state: 'stopped',
  detail: null,
  pid: null,
  spawnedAtMs: null,
  readyAtMs: null,
  failures: 0,
  restarts: 0,
  lastExit: null,
  delayMs: 0,
}

/** How long to wait before the next start, after so many failures in a row. */
export function backoffMs(failures: number): number {
  return Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.max(0, failures - 1))
}

/** The record after an event. */
export function evolve(record: ProcessRecord, event: ProcessEvent, nowMs: number): ProcessRecord {
  const gone = { pid: null, spawnedAtMs: null, readyAtMs: null, delayMs: 0 }
  switch (event.kind) {
    case 'waits':
      return { ...record, ...gone, state: 'starting', detail: `waits for ${event.for.join(', ')}` }
    case 'prepares':
      return { ...record, ...gone, state: 'starting', detail: 'prepares' }
    case 'spawned':
      return { ...record, state: 'starting', detail: null, pid: event.pid, spawnedAtMs: nowMs }
    case 'answers':
      return { ...record, detail: 'is being provisioned' }
    case 'ready':
      return { ...record, state: 'ready', detail: null, readyAtMs: record.readyAtMs ?? nowMs }
    case 'unready':
      return { ...record, state: 'degraded', detail: 'does not say that it is ready' }
    case 'ended': {
      const before = healthyFor(record, nowMs) >= healthyMs ? 0 : record.failures
      // Nobody waits three times for what did not come within its time.
      const failures = before + (event.late ? patience : 1)
      const delayMs = backoffMs(failures)
      const { restarts } = record
      const detail = `${event.how}; starts again in ${delayMs} ms`
      return {
        ...record,
        ...gone,
        state: 'backoff',
        detail,
        failures,
        delayMs,
        lastExit: event.how,
        restarts: restarts + 1,
      }
    }
    case 'failed': {
      const failures = record.failures + 1
      return { ...record, ...gone, state: 'failed', detail: event.how, failures, lastExit: event.how }
    }
    case 'stopping':
      return { ...record, detail: 'stops' }
    case 'stopped':
      return { ...record, ...gone, state: 'stopped', detail: null, failures: 0 }
  }
}

/** Whether somebody who waits for it should give up. */
export function isHopeless(record: ProcessRecord): boolean {
  return record.state === 'failed' || (record.state === 'backoff' && record.failures >= patience)
}

function healthyFor(record: ProcessRecord, nowMs: number): number {
  return record.readyAtMs === null ? 0 : nowMs - record.readyAtMs
}
