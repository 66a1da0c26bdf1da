import { readdirSync, readFileSync } from 'node:fs'

/**
 * What the kernel tells of processes. A pid alone names nobody: it is used again. With the time at which the process
 * started, in ticks since the machine did, and the machine's boot it does.
 */
export type Stamp = { readonly pid: number; readonly startTicks: number }

/** One line of the process table. */
export type ProcessRow = Stamp & {
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly session: number
}

/** This boot of the machine. Stamps of another one name nobody. */
export function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? 'unknown'
}

/** The process of this pid; null when there is none, or only its exit code is left of it. */
export function processRow(pid: number): ProcessRow | null {
  const text = read(`/proc/${pid}/stat`)
  if (text === null) return null
  // The second field is the program's name in parentheses, which may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const state = fields[0] ?? 'X'
  if (state === 'Z' || state === 'X') return null
  const [parent, group, session] = fields.slice(1, 4).map(Number) as [number, number, number]
  return { pid, state, parent, group, session, startTicks: Number(fields[19]) }
}

/** Every living process that we can see. */
export function processTable(): ProcessRow[] {
  return pids().flatMap((pid) => processRow(pid) ?? [])
}

/** Whether this very process is alive. */
export function isAlive(stamp: Stamp): boolean {
  return processRow(stamp.pid)?.startTicks === stamp.startTicks
}

/**
 * Memory that a process holds, in bytes: its proportional share where the kernel tells it (a page shared by ten
 * sidecars counts a tenth in each), otherwise all that is resident.
 */
export function memoryBytes(pid: number): number {
  const kib =
    /^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '') ??
    /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')
  return Number(kib?.[1] ?? 0) * 1024
}

/** How a process was called, shortened for a message. */
export function commandLine(pid: number, charactersMax = 80): string {
  const text = (read(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim()
  return text.length > charactersMax ? `${text.slice(0, charactersMax - 1)}…` : text
}

/** The pids of all processes. */
export function pids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid))
}

/** A file of /proc, or null: processes end while we read of them, and some belong to others. */
export function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
