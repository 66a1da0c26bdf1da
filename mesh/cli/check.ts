import type { Command } from 'commander'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import { exitCodes } from './exit.ts'
import { loadSystem } from './load.ts'
import { print, systemOption } from './output.ts'

/** `parley check`: holds the rules against a system. Exits with 1 when there are findings. */
export function checkCommand(program: Command): void {
  program
    .command('check')
    .description('hold the rules of the field against the declaration')
    .option(...systemOption)
    .option('--json', 'print the report as JSON')
    .action(async (options: { system?: string; json?: boolean }) => {
      const { system } = await loadSystem(options.system)
      const report = checkSystem(system)
      print(options.json ? JSON.stringify(report, null, 2) : reportText(report))
      process.exitCode = report.findings.length > 0 ? exitCodes.findings : exitCodes.fine
    })
}
