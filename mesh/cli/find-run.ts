import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findRuns, isLive, type RunFile, readRunFile } from '#local/supervisor/run-file.ts'
import { UsageError } from './exit.ts'
import { loadSystem, projectDir } from './load.ts'

/** The options by which every command on a run finds it. */
export type RunOptions = { readonly system?: string; readonly state?: string }

/** The option that says where local runs keep their state. */
export const stateOption = [
  '--state <dir>',
  'where local runs keep their state (default: $PARLEY_STATE, .parley)',
] as const
/** The option that says which run is meant. */
export const runOption = [
  '--system <file|name>',
  'which run: a system file, or a name (default: the one that runs)',
] as const

/** A run that was found. `file` is null when it left none: it was never up, or was brought down. */
export type FoundRun = {
  readonly system: string
  readonly runDir: string
  readonly file: RunFile | null
  readonly live: boolean
}

/** The state folder that the options and the environment name. */
export function stateDirOf({ state }: RunOptions): string {
  return resolve(state ?? process.env.PARLEY_STATE ?? join(projectDir, '.parley'))
}

/** Every run of the state folder that left a file. */
export function allRuns(options: RunOptions): FoundRun[] {
  return findRuns(stateDirOf(options)).map(({ runDir, file }) => ({
    system: file.system,
    runDir,
    file,
    live: isLive(file),
  }))
}

/** The run that is meant: the one named, otherwise the only one. Throws a UsageError when that is not clear. */
export async function findRun(options: RunOptions): Promise<FoundRun | null> {
  if (options.system !== undefined) return namedRun(await systemName(options.system), options)
  const runs = allRuns(options)
  const alive = runs.filter(({ live }) => live)
  const candidates = alive.length > 0 ? alive : runs
  if (candidates.length > 1) {
    const names = candidates.map(({ system }) => system).join(', ')
    throw new UsageError(`Several systems run: ${names}. Say which one: --system ${candidates[0]?.system}`)
  }
  return candidates[0] ?? null
}

/** The run that is meant, which must be alive. Throws a UsageError otherwise. */
export async function liveRun(options: RunOptions): Promise<FoundRun & { readonly file: RunFile }> {
  const run = await findRun(options)
  const { file } = run ?? {}
  if (run?.live && file) return { ...run, file }
  throw new UsageError(
    `${options.system ?? 'Nothing'} is${options.system ? ' not' : ''} running. Start it: bin/parley up`,
  )
}

function namedRun(system: string, options: RunOptions): FoundRun {
  const runDir = join(stateDirOf(options), 'runs', system)
  const file = readRunFile(runDir)
  return { system, runDir, file, live: file !== null && isLive(file) }
}

async function systemName(given: string): Promise<string> {
  if (/^[a-z0-9-]+$/.test(given) && !existsSync(given)) return given
  return (await loadSystem(given)).system.name
}
