import type { Command } from 'commander'
import { controlOf } from '#local/supervisor/control.ts'
import { liveRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { print } from './output.ts'

/** `parley start NAME`: starts what was stopped, and waits until it is ready. */
export function startCommand(program: Command): void {
  program
    .command('start <name>')
    .description('start a stopped service with its sidecar, a part or a stand-in')
    .option(...runOption)
    .option(...stateOption)
    .action(async (name: string, options: RunOptions) => {
      const { file } = await liveRun(options)
      await controlOf(file.socket).start(name)
      print(`${name} is ready.`)
    })
}
