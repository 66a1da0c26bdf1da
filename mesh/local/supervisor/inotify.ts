import { readdirSync, readlinkSync } from 'node:fs'
import { processTable, read } from './proc.ts'

/** Who holds how many inotify instances. Editors hold some, and sidecars do. */
export type InotifyHolder = { readonly pid: number; readonly program: string; readonly instances: number }

/** What a user may hold in all, and who holds some now: of this user and as far as we can see. */
export type InotifyUse = { readonly instancesMax: number; readonly holders: readonly InotifyHolder[] }

/** A message shows this many of the programs that hold most. */
const programsShown = 4
/** What is advised at least: what desktops and clusters are given today. */
const advisedMin = 1_024

/**
 * What is missing to processes that will hold this many inotify instances together, and what to do, as sentences; null when
 * there is enough. A process that gets none ends itself, so this is better known before any is started.
 */
export function inotifyShortage(needed: number, { instancesMax, holders }: InotifyUse = inotifyUse()): string | null {
  const held = holders.reduce((sum, { instances }) => sum + instances, 0)
  if (needed === 0 || held + needed <= instancesMax) return null
  const taken = held === 0 ? 'none is held yet' : `${held} are held already: ${byProgram(holders)}`
  const advised = Math.max(advisedMin, 2 ** Math.ceil(Math.log2(held + needed)))
  return `The sidecars need ${needed} inotify instances to see new certificates and routes, a user may hold ${instancesMax}, and ${taken}.\nRaise the limit: sudo sysctl fs.inotify.max_user_instances=${advised} (to keep it: a line in a file below /etc/sysctl.d), or end what holds them.`
}

/** Such as `126 by envoy (24 processes, pid 417 for one), 5 by code (pid 99)`. */
function byProgram(holders: readonly InotifyHolder[]): string {
  const programs = [...Map.groupBy(holders, ({ program }) => program)].map(([program, all]) => ({
    instances: all.reduce((sum, { instances }) => sum + instances, 0),
    who: `${program} (${all.length > 1 ? `${all.length} processes, pid ${all[0]?.pid} for one` : `pid ${all[0]?.pid}`})`,
  }))
  const most = programs.sort((a, b) => b.instances - a.instances).slice(0, programsShown)
  return `${most.map(({ instances, who }) => `${instances} by ${who}`).join(', ')}${programs.length > most.length ? ', …' : ''}`
}

/** The instances that a process has open. None when it ended or is not ours to look into. */
export function inotifyInstancesOf(pid: number): number {
  return descriptorsOf(pid).size
}

function inotifyUse(): InotifyUse {
  // In a user namespace the second is lower than the first, or nothing is known of it.
  const limits = ['/proc/sys/fs/inotify/max_user_instances', '/proc/sys/user/max_inotify_instances'].map(numberIn)
  return { instancesMax: Math.min(...limits), holders: holdersNow() }
}

function holdersNow(): InotifyHolder[] {
  const uid = process.getuid?.()
  const rows = processTable().filter(({ pid }) => uid === userOf(pid))
  const descriptors = new Map(rows.map(({ pid }) => [pid, descriptorsOf(pid)]))
  return rows.flatMap(({ pid, parent }) => {
    // What a child has from its parent is one instance in two processes.
    const own = (descriptors.get(pid) ?? new Set()).difference(descriptors.get(parent) ?? new Set())
    return own.size > 0 ? [{ pid, program: programOf(pid), instances: own.size }] : []
  })
}

function descriptorsOf(pid: number): Set<string> {
  const dir = `/proc/${pid}/fd`
  try {
    return new Set(readdirSync(dir).filter((fd) => readlink(`${dir}/${fd}`).endsWith('inotify')))
  } catch {
    // It ended, or belongs to somebody else.
    return new Set()
  }
}

/** Instances count for the real user of who opened them. */
function userOf(pid: number): number {
  return Number(/^Uid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1] ?? Number.NaN)
}

function programOf(pid: number): string {
  return read(`/proc/${pid}/comm`)?.trim() ?? 'somebody'
}

function numberIn(file: string): number {
  const text = read(file)
  return text === null ? Number.POSITIVE_INFINITY : Number(text)
}

function readlink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
