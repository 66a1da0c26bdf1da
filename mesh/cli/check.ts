import type { Command } from 'commander'
import { checkSystem, type Report } from '#checks/check.ts'
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

/** A report for people: every finding with its path, its cost and what mends it. */
export function reportText({ system, rules, findings, accepted }: Report): string {
  const blocks = findings.map(({ code, path, message, cost, mend }) =>
    [`${code}  ${path.join(' ')}`, `  ${message}`, ...(cost ? [`  costs: ${cost}`] : []), `  mend:  ${mend}`].join(
      '\n',
    ),
  )
  const kept = accepted.map(({ code, path, reason }) => `accepted ${code}  ${path.join(' ')}: ${reason}`)
  const summary =
    findings.length === 0
      ? `${system}: ${rules} rules hold${kept.length > 0 ? `, ${kept.length} findings are accepted` : ''}.`
      : `${system}: ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}. What each code means: docs/reference/checks.md`
  return [...blocks, ...kept, summary].join('\n\n')
}
