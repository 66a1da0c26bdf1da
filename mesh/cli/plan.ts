import type { Command } from 'commander'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { environmentName } from './environments.ts'
import { exitCodes } from './exit.ts'
import { loadSystem } from './load.ts'
import { print, systemOption } from './output.ts'

/** The option of every command that works on a plan. */
export const environmentOption = ['--environment <name>', 'local, kind or production', 'local'] as const

/** `parley plan`: everything that follows from a system for one environment. */
export function planCommand(program: Command): void {
  program
    .command('plan')
    .description('show everything that follows from the declaration')
    .option(...systemOption)
    .option(...environmentOption)
    .option('--json', 'print the whole plan as JSON')
    .action(async (options: { system?: string; environment: string; json?: boolean }) => {
      const plan = await checkedPlan(options)
      if (plan) print(options.json ? JSON.stringify(plan, null, 2) : planText(plan))
    })
}

/** The plan of a system that passes the checks; prints the findings, sets the exit code and gives null otherwise. */
export async function checkedPlan(options: { system?: string; environment: string }): Promise<Plan | null> {
  const { system } = await loadSystem(options.system)
  const environment = environmentName(options.environment)
  const report = checkSystem(system)
  if (report.findings.length === 0) return derive(system, environment)
  process.stderr.write(`${reportText(report)}\n`)
  process.exitCode = exitCodes.findings
  return null
}

/** The plan in short: who may call, publish, consume, send, work and reach what, by which policy. */
function planText(plan: Plan): string {
  const sections: [string, string[]][] = [
    [
      'services',
      plan.services.map(({ name, replicas, protocol }) => `${name}: ${replicas} × ${protocol ?? 'no interface'}`),
    ],
    ['calls', plan.links.flatMap(linkLines)],
    [
      'publishes',
      plan.topics
        .filter(({ kind }) => kind === 'events')
        .map(
          ({ owner, name, partitions, key }) => `${owner} → ${name}: ${partitions} partitions by ${key ?? 'no key'}`,
        ),
    ],
    [
      'consumes',
      plan.subscriptions.map(
        ({ service, topic, attempts, messages }) =>
          `${service} ← ${topic}: ${messages.map(short).join(', ')}; ${attempts} attempts, then the dead letter`,
      ),
    ],
    [
      'queues',
      plan.queues.map(
        ({ name, worker, senders, prefetch }) => `${senders.join(', ')} → ${name} → ${worker}: ${prefetch} at once`,
      ),
    ],
    ['reaches', plan.egress.map(({ from, external, deadlineMs }) => `${from} → ${external}: ${deadlineMs} ms`)],
    ['stores', plan.stores.map(({ role, database }) => `${role}: ${database}`)],
    [
      'open to the outside',
      plan.exposures.map(
        ({ name, service, versions, rateLimit, deadlineMs }) =>
          `${[name, ...versions.map((version) => version.name)].join(' ')}: ${service}, ${rateText(rateLimit)}, ${deadlineMs} ms`,
      ),
    ],
  ]
  const text = sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [title, ...lines.map((line) => `  ${line}`)].join('\n'))
  return [`${plan.system}, ${plan.environment}`, ...text].join('\n\n')
}

function rateText(rate: Plan['exposures'][number]['rateLimit']): string {
  if (!rate) return 'unlimited requests/s'
  return `${rate.perSecond} requests/s${rate.perClient ? `, ${rate.perClient.perSecond} of one client` : ''}`
}

function linkLines({ from, to, routes, breaker }: Plan['links'][number]): string[] {
  return routes.map(({ methods, deadlineMs, retry, fallback }) => {
    const attempts = retry ? `${retry.attempts} attempts` : 'one attempt'
    const breaks = `opens after ${breaker.failures} failures for ${breaker.openMs / 1_000} s`
    return `${from} → ${to}.${methods.map(({ name }) => name).join(', ')}: ${deadlineMs} ms, ${attempts}, ${breaks}${fallback ? ', has a fallback' : ''}`
  })
}

function short(typeName: string): string {
  return typeName.slice(typeName.lastIndexOf('.') + 1)
}
