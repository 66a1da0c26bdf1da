import type { Command } from 'commander'
import { down } from '#local/up.ts'
import { allRuns, type FoundRun, findRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { print } from './output.ts'
import { chooseTarget, kindHas } from './target.ts'

/** `parley down`: stops a run and leaves nothing but its data and logs; or deletes the cluster of kind. Nothing to stop is fine. */
export function downCommand(program: Command): void {
  program
    .command('down')
    .description('stop everything; data and logs stay')
    .option(...runOption)
    .option(...stateOption)
    .option('--all', 'every run of the state folder')
    .option('--target <target>', 'local, or kind: deletes its cluster with everything on it (default: local)')
    .action(async (options: RunOptions & { all?: boolean; target?: string }) => {
      const { target } = await chooseTarget(options.target ?? 'local')
      if (target === 'kind') return (await import('./up-kind.ts')).downKind()
      const runs = options.all ? allRuns(options) : [await findRun(options)]
      const there = runs.filter((run) => run?.file != null)
      if (there.length === 0)
        return print(`${options.system ?? 'Nothing'} is${options.system ? ' not' : ''} running.${await kindHint()}`)
      for (const run of there) if (run) await downOne(run)
    })
}

/** `up` may have chosen kind by itself; its cluster is only deleted by name. */
async function kindHint(): Promise<string> {
  return (await kindHas('parley'))
    ? '\nThe cluster parley of kind is there; to delete it: bin/parley down --target kind'
    : ''
}

async function downOne({ system, runDir, file }: FoundRun): Promise<void> {
  if (!file) return
  const beganMs = performance.now()
  const wasAlive = await down(runDir, file)
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1)
  print(wasAlive ? `${system} has ended after ${seconds} s.` : `${system} had died; what it left was cleaned up.`)
}
