import { type AskAdmin, adminsOfRun } from '#local/admin.ts'
import { controlOf } from '#local/supervisor/control.ts'
import { UsageError } from './exit.ts'
import { liveRun, type RunOptions } from './find-run.ts'

/** The services that can be asked, by name, each with the way to its admin address: sockets of a local run, or forwarded ports. */
export type Admins = ReadonlyMap<string, AskAdmin>

/** The services of the run that is meant. Throws a UsageError where none runs. */
export async function adminsOf(options: RunOptions): Promise<Admins> {
  const { file } = await liveRun(options)
  const { processes } = await controlOf(file.socket).status()
  return adminsOfRun(file.socketsDir, processes)
}

/** One of them, or all where none is named. Throws a UsageError with those that there are for an unknown one. */
export function adminsNamed(admins: Admins, service: string | undefined): Admins {
  if (service === undefined) return admins
  const ask = admins.get(service)
  if (ask) return new Map([[service, ask]])
  throw new UsageError(`There is no service ${service}. There are: ${[...admins.keys()].join(', ')}.`)
}
