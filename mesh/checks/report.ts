import type { Report } from './check.ts'
import type { Finding } from './rule.ts'

/** A report as people read it: each finding with its path, cost and mend; what is accepted; and one line that counts. */
export function reportText(report: Report): string {
  return [
    ...report.findings.map(findingText),
    ...report.accepted.map(
      ({ code, path, message, reason, by }) =>
        `${code}  ${path.join(' ')}\n  ${message}\n  accepted by ${by}: ${reason}\n`,
    ),
    summary(report),
  ].join('\n')
}

function findingText({ code, path, message, cost, mend }: Finding): string {
  return [
    `${code}  ${path.join(' ')}`,
    `  ${message}`,
    ...(cost ? [`  cost: ${cost}`] : []),
    `  mend: ${mend}`,
    '',
  ].join('\n')
}

function summary({ system, rules, findings, accepted }: Report): string {
  const found = findings.length === 1 ? '1 finding' : `${findings.length} findings`
  return `${system}: ${rules} rules, ${findings.length === 0 ? 'no finding' : found}, ${accepted.length} accepted`
}
