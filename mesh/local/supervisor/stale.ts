import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { signalGroup } from './child.ts'
import { bootId, isAlive, processTable } from './proc.ts'
import { type RecordedProcess, type RunFile, removeRunFile } from './run-file.ts'

const graceMsDefault = 10_000

/**
 * Cleans up after a run whose supervisor died: ends the children that it recorded, each told by pid and start time, with
 * all of their groups, and removes its sockets and its file. Gives back the names of those that were still alive.
 */
export async function cleanStale(runDir: string, file: RunFile, graceMs = graceMsDefault): Promise<string[]> {
  const recorded = file.bootId === bootId() ? file.processes : []
  const orphans = recorded.filter(isAlive)
  for (const orphan of orphans) process.kill(orphan.pid, orphan.stopSignal)
  for (let waitedMs = 0; orphans.some(isAlive) && waitedMs < graceMs; waitedMs += 50) await sleep(50)
  const killed = recorded.filter((process) => groupLives(process) && signalGroup(process.pid, 'SIGKILL'))
  while (recorded.some(groupLives)) await sleep(10)
  rmSync(file.socketsDir, { recursive: true, force: true })
  removeRunFile(runDir)
  return [...new Set([...orphans, ...killed].map((process) => process.name))]
}

/**
 * Whether anything of a child's group is left. A pid is not given out again while a group or session has its number, so
 * a group whose leader is gone is still the same one, unless it was empty in between: its members' age tells.
 */
function groupLives(leader: RecordedProcess): boolean {
  if (isAlive(leader)) return true
  const rows = processTable()
  if (rows.some((row) => row.pid === leader.pid)) return false
  return rows.some(
    (row) => row.group === leader.pid && row.session === leader.pid && row.startTicks >= leader.startTicks,
  )
}
