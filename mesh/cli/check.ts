import type { Command } from 'commander'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import { derive } from '#plan/derive.ts'
import { exitCodes } from './exit.ts'
import { loadSystem } from './load.ts'
import { print, systemOption } from './output.ts'
import { missingPrograms, programsMend } from './programs.ts'

/**
 * `parley check`: holds the rules against a system. Exits with 1 when there are findings. A service whose program is still to be
 * written breaks no rule: it is told on stderr, and `up` refuses it.
 */
export function checkCommand(program: Command): void {
  program
    .command('check')
    .description('hold the rules of the field against the declaration')
    .option(...systemOption)
    .option('--json', 'print the report as JSON')
    .action(async (options: { system?: string; json?: boolean }) => {
      const { system, rootDir } = await loadSystem(options.system)
      const report = checkSystem(system)
      print(options.json ? JSON.stringify(report, null, 2) : reportText(report))
      const missing = report.findings.length > 0 ? [] : missingPrograms(derive(system, 'local'), rootDir)
      if (missing.length > 0) {
        process.stderr.write(`parley up will need what is not there yet:\n  ${missing.join('\n  ')}\n${programsMend}\n`)
      }
      process.exitCode = report.findings.length > 0 ? exitCodes.findings : exitCodes.fine
    })
}
