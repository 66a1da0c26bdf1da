import { spawn } from 'node:child_process'
import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessSpec } from '../process.ts'
import { processRow, processTable, type Stamp } from './proc.ts'

/** How a process ended, such as `ended with code 1` or `was killed by SIGKILL`. */
export type Ending = string

/** A running child, the leader of a process group of its own. */
export type Child = Stamp & {
  /** Where in the log its own lines begin. */
  readonly logFrom: number
  /** Resolves when it ended and nothing of its group is left. Never rejects. */
  readonly ended: Promise<Ending>
  /** Asks it to end as its spec says, kills its whole group after the grace, and waits. */
  end(): Promise<Ending>
}

const clearMsMax = 2_000

/** Starts the process of a spec, its output appended to its log. Throws a sentence when it cannot be started. */
export async function spawnChild(spec: ProcessSpec): Promise<Child> {
  const [program, ...args] = spec.argv
  mkdirSync(dirname(spec.logFile), { recursive: true, mode: 0o700 })
  const log = openSync(spec.logFile, 'a', 0o600)
  try {
    const logFrom = fstatSync(log).size
    const child = spawn(program, args, {
      cwd: spec.cwd,
      env: spec.env,
      // The log is a file and not a pipe: a child outlives us unharmed, and its output costs us nothing.
      stdio: ['ignore', log, log],
      detached: true,
      ...(spec.user ?? {}),
    })
    const failure = new Promise<Error>((resolve) => child.once('error', resolve))
    const { pid } = child
    if (pid === undefined) throw new Error(`${program} cannot be started: ${(await failure).message}`)
    const exited = new Promise<Ending>((resolve) => child.once('exit', (code, signal) => resolve(said(code, signal))))
    const ended = exited.then(async (ending) => {
      await clearGroup(pid)
      return ending
    })
    const end = async (): Promise<Ending> => {
      child.kill(spec.stop.signal)
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), spec.stop.graceMs)
      return ended.finally(() => clearTimeout(timer))
    }
    return { pid, startTicks: processRow(pid)?.startTicks ?? 0, logFrom, ended, end }
  } finally {
    closeSync(log)
  }
}

/** Sends a signal to a group, which may be gone already. True when somebody was there. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return signalProcess(-group, signal)
}

/** Sends a signal to a process, or a group by its negative, which may be gone already. True when somebody was there. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, constants.signals[signal])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Kills what a leader left behind, and waits until it is gone: it may hold ports. */
async function clearGroup(group: number): Promise<void> {
  if (!signalGroup(group, 'SIGKILL')) return
  for (let waitedMs = 0; waitedMs < clearMsMax; waitedMs += 10) {
    if (!processTable().some((row) => row.group === group)) return
    await sleep(10)
  }
}

function said(code: number | null, signal: NodeJS.Signals | null): Ending {
  return signal === null ? `ended with code ${code}` : `was killed by ${signal}`
}
