import type { ProcessSpec } from '../process.ts'
import type { Life } from './life.ts'
import { podOf } from './order.ts'
import { memoryBytes, type ProcessRow, processTable } from './proc.ts'
import type { ProcessState } from './record.ts'

/** How one process is. */
export type ProcessStatus = {
  readonly name: string
  readonly kind: ProcessSpec['kind']
  readonly state: ProcessState
  /** What it is about or what is wrong, in a few words. */
  readonly detail: string | null
  readonly pid: number | null
  /** `address:port` of each endpoint that it listens on. */
  readonly ports: readonly string[]
  readonly urls: readonly string[]
  /** Of it and all that it started: the proportional share where the kernel tells it. */
  readonly memoryBytes: number
  /** Since it was spawned; null when it does not run. */
  readonly uptimeMs: number | null
  /** Times that it was started again because it had ended unasked. */
  readonly restarts: number
  readonly lastExit: string | null
  readonly logFile: string
}

/** How a run is. `degraded`: something in it is neither ready nor stopped on purpose. */
export type RunState = 'starting' | 'ready' | 'degraded' | 'stopping' | 'stopped'

/** How a run and everything in it is. */
export type RunStatus = {
  readonly system: string
  readonly state: RunState
  readonly urls: readonly RunUrl[]
  readonly processes: readonly ProcessStatus[]
  readonly memoryBytes: number
}

/** Where people reach something: a service that is exposed, a page of a part or a stand-in. */
export type RunUrl = { readonly name: string; readonly url: string }

/** How each of these is now. Reads the process table once. */
export function statusOf(lives: readonly Life[], nowMs: number): ProcessStatus[] {
  const pids = lives.flatMap(({ record }) => record.pid ?? [])
  const memory = memoryByLeader(pids, pids.length > 0 ? processTable() : [], memoryBytes)
  return lives.map(({ spec, record }) => ({
    name: spec.name,
    kind: spec.kind,
    state: record.state,
    detail: record.detail,
    pid: record.pid,
    ports: spec.listens.map(({ address, port }) => `${address}:${port}`),
    urls: spec.urls,
    memoryBytes: record.pid === null ? 0 : (memory.get(record.pid) ?? 0),
    uptimeMs: record.spawnedAtMs === null ? null : Math.round(nowMs - record.spawnedAtMs),
    restarts: record.restarts,
    lastExit: record.lastExit,
    logFile: spec.logFile,
  }))
}

/** What to say of the run as a whole, once it has been ready. */
export function overall(processes: readonly { readonly state: ProcessState }[]): RunState {
  return processes.every(({ state }) => state === 'ready' || state === 'stopped') ? 'ready' : 'degraded'
}

/** The addresses for people, each with the name of what answers there: the system's own first, then what shows it. */
export function urlsOf(specs: readonly Pick<ProcessSpec, 'name' | 'kind' | 'urls'>[]): RunUrl[] {
  const own = specs.filter(({ kind }) => kind === 'sidecar' || kind === 'service')
  const others = specs.filter((spec) => !own.includes(spec))
  return [...own, ...others].flatMap((spec) => spec.urls.map((url) => ({ name: podOf(spec.name), url })))
}

/**
 * What each of these holds with all that it started: its descendants, even in sessions of their own as Postgres' are, and
 * those of its group whose parent ended.
 */
export function memoryByLeader(
  leaders: readonly number[],
  rows: readonly ProcessRow[],
  bytesOf: (pid: number) => number,
): Map<number, number> {
  const sums = new Map(leaders.map((pid) => [pid, 0]))
  const byPid = new Map(rows.map((row) => [row.pid, row]))
  const leaderOf = (row: ProcessRow | undefined): number | undefined =>
    row && ([row.pid, row.group, row.session].find((pid) => sums.has(pid)) ?? leaderOf(byPid.get(row.parent)))
  for (const row of rows) {
    const leader = leaderOf(row)
    if (leader !== undefined) sums.set(leader, (sums.get(leader) ?? 0) + bytesOf(row.pid))
  }
  return sums
}
