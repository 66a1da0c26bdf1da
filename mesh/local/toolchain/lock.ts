import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { ToolchainError } from './problem.ts'

const pollMs = 200
const waitMsMax = 20 * 60_000

/**
 * Runs `body` while no other process does so under the same lock file. The lock of a process that is gone counts for
 * nothing. `onWait` is told once when another holds it. Throws `LOCKED` after 20 minutes.
 */
export async function withLock<T>(
  file: string,
  onWait: (holderPid: number) => void,
  body: () => Promise<T>,
): Promise<T> {
  await acquire(file, onWait)
  try {
    return await body()
  } finally {
    rmSync(file, { force: true })
  }
}

async function acquire(file: string, onWait: (holderPid: number) => void): Promise<void> {
  const deadline = Date.now() + waitMsMax
  let told = false
  while (!tryAcquire(file)) {
    const holder = readOrNull(file)
    if (holder !== null && !isAlive(holder)) discard(file, holder)
    else {
      const pid = Number.parseInt(holder ?? '0', 10)
      if (!told) onWait(pid)
      told = true
      if (Date.now() > deadline) {
        throw new ToolchainError('LOCKED', `Process ${pid} has held ${file} for too long. End it, then run again.`)
      }
      await setTimeout(pollMs)
    }
  }
}

/** Linking a file that is already written makes the lock and its holder appear at once. */
function tryAcquire(file: string): boolean {
  const own = `${file}.${process.pid}`
  writeFileSync(own, identity(process.pid) ?? '')
  try {
    linkSync(own, file)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    rmSync(own)
  }
}

/** Renaming takes the lock away for one process only; if that was a newer holder's lock after all, it gets it back. */
function discard(file: string, holder: string): void {
  const stale = `${file}.stale.${process.pid}`
  try {
    renameSync(file, stale)
    if (readOrNull(stale) === holder) rmSync(stale)
    else renameSync(stale, file)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function isAlive(holder: string): boolean {
  return identity(Number.parseInt(holder, 10)) === holder
}

/** A number alone may be another's by now: the time of its start tells a process from its successor. */
function identity(pid: number): string | null {
  const stat = readOrNull(`/proc/${pid}/stat`)
  const startedAt = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return startedAt === undefined ? null : `${pid} ${startedAt}`
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null
    throw error
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException).code
}
