import type { Command } from 'commander'
import { controlOf } from '#local/supervisor/control.ts'
import { liveRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { print } from './output.ts'

/** `parley stop NAME`: stops a service with its sidecar, so that its callers are refused; it stays stopped. */
export function stopCommand(program: Command): void {
  program
    .command('stop <name>')
    .description('stop a service with its sidecar, as a pod vanishes, or a part or a stand-in')
    .option(...runOption)
    .option(...stateOption)
    .action(async (name: string, options: RunOptions) => {
      const { file } = await liveRun(options)
      await controlOf(file.socket).stop(name)
      print(`${name} is stopped.`)
    })
}
