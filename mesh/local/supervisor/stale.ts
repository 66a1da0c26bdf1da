import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { signalGroup, signalProcess } from './child.ts'
import { RunFailure } from './failure.ts'
import { bootId, isAlive, processTable } from './proc.ts'
import { type RecordedProcess, type RunFile, removeRunFile } from './run-file.ts'

const graceMsDefault = 10_000
/** The kernel takes a killed process away at once, unless it waits for a disk or a network share. */
const killedMsMax = 10_000

/**
 * Cleans up after a run whose supervisor died: ends the children that it recorded, each told by pid and start time, with
 * all of their groups, and removes its sockets and its file. Gives back the names of those that were still alive.
 * @throws RunFailure for those that do not even end when they are killed; sockets and file stay, for the next try
 */
export async function cleanStale(runDir: string, file: RunFile, graceMs = graceMsDefault): Promise<string[]> {
  const recorded = file.bootId === bootId() ? file.processes : []
  const orphans = recorded.filter(isAlive)
  for (const orphan of orphans) signalProcess(orphan.pid, orphan.stopSignal)
  for (let waitedMs = 0; orphans.some(isAlive) && waitedMs < graceMs; waitedMs += 50) await sleep(50)
  const killed = recorded.filter((process) => groupLives(process) && signalGroup(process.pid, 'SIGKILL'))
  for (let waitedMs = 0; recorded.some(groupLives) && waitedMs < killedMsMax; waitedMs += 10) await sleep(10)
  refuseSurvivors(recorded.filter(groupLives))
  rmSync(file.socketsDir, { recursive: true, force: true })
  removeRunFile(runDir)
  return [...new Set([...orphans, ...killed].map((process) => process.name))]
}

function refuseSurvivors(left: readonly RecordedProcess[]): void {
  if (left.length === 0) return
  const names = left.map(({ name, pid }) => `${name} (process group ${pid})`).join(', ')
  throw new RunFailure(
    `Of the last run, ${names} did not end within ${killedMsMax / 1000} s of being killed. A process that waits for a disk or a network share cannot be ended: see ps -o pid,stat,wchan,args -g ${left[0]?.pid}, mend what it waits for and try again.`,
  )
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
