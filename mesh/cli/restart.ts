import type { Command } from 'commander'
import { controlOf } from '#local/supervisor/control.ts'
import { liveRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { print } from './output.ts'

/** `parley restart NAME`: stops and starts, and waits until it is ready. */
export function restartCommand(program: Command): void {
  program
    .command('restart <name>')
    .description('stop and start a service with its sidecar, a part or a stand-in')
    .option(...runOption)
    .option(...stateOption)
    .action(async (name: string, options: RunOptions) => {
      const { file } = await liveRun(options)
      await controlOf(file.socket).restart(name, false)
      print(`${name} is ready.`)
    })
}
