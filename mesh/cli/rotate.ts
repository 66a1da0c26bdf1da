import type { Command } from 'commander'
import { controlOf } from '#local/supervisor/control.ts'
import { liveRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { print } from './output.ts'

/** `parley rotate`: issues every certificate anew while the system runs, and waits until everybody uses the new ones. */
export function rotateCommand(program: Command): void {
  program
    .command('rotate')
    .description('issue every certificate anew while the system runs')
    .option(
      '--authority',
      'replace the authority too; both are trusted until everyone has a certificate of the new one',
    )
    .option(...runOption)
    .option(...stateOption)
    .action(async ({ authority = false, ...options }: RunOptions & { authority?: boolean }) => {
      const { system, file } = await liveRun(options)
      const beganMs = performance.now()
      await controlOf(file.socket).rotate(authority)
      const seconds = ((performance.now() - beganMs) / 1000).toFixed(1)
      const done = authority
        ? 'a new authority, and a new certificate of it for everyone'
        : 'a new certificate for everyone'
      print(`${system} has ${done}, in use after ${seconds} s.${authority ? ' The old authority is refused.' : ''}`)
    })
}
