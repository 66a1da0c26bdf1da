import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bootId, isAlive, type Stamp } from './proc.ts'
import type { RunUrl } from './status.ts'

/** What a run tells of itself in `run.json`: enough to reach it, and to clean up after it when its supervisor died. */
export type RunFile = Stamp & {
  readonly version: 1
  readonly bootId: string
  readonly system: string
  readonly systemFile: string
  readonly subnet: string
  readonly host: string
  /** Of the plan and the code that starts it; another one means that the declaration changed. */
  readonly fingerprint: string
  readonly state: 'starting' | 'ready' | 'stopping'
  readonly startedAt: string
  /** The control socket. */
  readonly socket: string
  readonly socketsDir: string
  readonly urls: readonly RunUrl[]
  readonly processes: readonly RecordedProcess[]
}

/** A child of the supervisor, each the leader of its own group. */
export type RecordedProcess = Stamp & { readonly name: string; readonly stopSignal: NodeJS.Signals }

/** Reads the run of a folder; null when there is none. Throws when the file is not one of ours. */
export function readRunFile(runDir: string): RunFile | null {
  const path = fileOf(runDir)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const file = JSON.parse(text)
    if (file.version === 1) return file
  } catch {
    // Said below.
  }
  throw new Error(`${path} is not readable as a run of this version. End its processes and remove the file.`)
}

/** Claims a folder for a run. False when another run has it. The file appears whole or not at all. */
export function claimRunFile(runDir: string, file: RunFile): boolean {
  const own = `${fileOf(runDir)}.${process.pid}`
  writeFileSync(own, JSON.stringify(file, null, 2), { mode: 0o600 })
  try {
    linkSync(own, fileOf(runDir))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(own, { force: true })
  }
}

/** Replaces the file whole. Synchronous, so that no child lives that is not recorded. */
export function writeRunFile(runDir: string, file: RunFile): void {
  const next = `${fileOf(runDir)}.next`
  writeFileSync(next, JSON.stringify(file, null, 2), { mode: 0o600 })
  renameSync(next, fileOf(runDir))
}

/** Gives the folder free again. */
export function removeRunFile(runDir: string): void {
  rmSync(fileOf(runDir), { force: true })
}

/** Whether the supervisor of this run lives. */
export function isLive(file: RunFile): boolean {
  return file.bootId === bootId() && isAlive(file)
}

/** All runs of a state folder that left a file, alive or not. */
export function findRuns(stateDir: string): { runDir: string; file: RunFile }[] {
  const runs = join(stateDir, 'runs')
  let names: string[]
  try {
    names = readdirSync(runs)
  } catch {
    return []
  }
  return names.flatMap((name) => {
    const runDir = join(runs, name)
    const file = readRunFile(runDir)
    return file ? [{ runDir, file }] : []
  })
}

function fileOf(runDir: string): string {
  return join(runDir, 'run.json')
}
