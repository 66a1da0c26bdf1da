import type { Command } from 'commander'
import { adminsOfRun } from '#local/admin.ts'
import { controlOf } from '#local/supervisor/control.ts'
import { RunFailure } from '#local/supervisor/failure.ts'
import type { AdminAnswer, AskAdmin } from '#mesh/admin/ask.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { UsageError } from './exit.ts'
import { liveRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { loadSystem } from './load.ts'
import { chooseTarget } from './target.ts'

/** The services that can be asked, by name, each with the way to its admin address: sockets of a local run, or forwarded ports. */
export type Admins = ReadonlyMap<string, AskAdmin>

/** Where the system is whose services are asked: a local run, or a cluster. */
export type AdminOptions = RunOptions & {
  readonly context?: string
  readonly target?: string
  readonly environment?: string
}

/** Adds the options that say which system is meant, and where. */
export function withAdminOptions(command: Command): Command {
  return command
    .option(...runOption)
    .option(...stateOption)
    .option('--context <context>', 'of a kubeconfig: ask the services on that cluster instead')
    .option('--target <target>', 'kind: the cluster that up has made there')
    .option('--environment <name>', 'on a cluster: kind or production')
}

/** The services of the system that is meant. Throws a UsageError where none runs, WrongContext where there is no such cluster. */
export async function adminsOf(options: AdminOptions): Promise<Admins> {
  if (await isOnCluster(options)) return (await import('./admins-cluster.ts')).clusterAdmins(options)
  const { file } = await liveRun(options)
  const { processes } = await controlOf(file.socket).status()
  return adminsOfRun(file.socketsDir, processes)
}

/** The plan of the system that is meant, as it is where it runs. Throws like `adminsOf`. */
export async function planOf(options: AdminOptions): Promise<Plan> {
  if (await isOnCluster(options)) return (await import('./admins-cluster.ts')).clusterPlan(options)
  const { file } = await liveRun(options)
  return derive((await loadSystem(file.systemFile)).system, 'local')
}

/** One of them, or all where none is named. Throws like `adminNamed`. */
export function adminsNamed(admins: Admins, service: string | undefined): Admins {
  return service === undefined ? admins : new Map([[service, adminNamed(admins, service)]])
}

/** How one of them is asked. Throws a UsageError with those that there are for an unknown one. */
export function adminNamed(admins: Admins, service: string): AskAdmin {
  const ask = admins.get(service)
  if (ask) return ask
  throw new UsageError(`There is no service ${service}. There are: ${[...admins.keys()].join(', ')}.`)
}

/** What a service answered; throws `refusalIn` where that is no 200. */
export function fineBody(answer: AdminAnswer): Readonly<Record<string, unknown>> {
  if (answer.status === 200) return answer.body
  throw refusalIn(answer)
}

/** Why a service does not do what was asked: a UsageError where that was wrong, a RunFailure where it cannot. */
export function refusalIn({ status, body }: AdminAnswer): UsageError | RunFailure {
  const message = String(body.message || body.error || `The service answered ${status}.`)
  return status >= 400 && status < 500 ? new UsageError(message) : new RunFailure(message)
}

async function isOnCluster({ context, target }: AdminOptions): Promise<boolean> {
  if (context !== undefined) return true
  return target !== undefined && (await chooseTarget(target)).target === 'kind'
}
