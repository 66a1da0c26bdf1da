import { type AskAdmin, adminsOfRun } from '#local/admin.ts'
import { controlOf } from '#local/supervisor/control.ts'
import { liveRun, type RunOptions } from './find-run.ts'

/** The services that can be asked, by name, each with the way to its admin address: sockets of a local run, or forwarded ports. */
export type Admins = ReadonlyMap<string, AskAdmin>

/** The services of the run that is meant. Throws a UsageError where none runs. */
export async function adminsOf(options: RunOptions): Promise<Admins> {
  const { file } = await liveRun(options)
  const { processes } = await controlOf(file.socket).status()
  return adminsOfRun(file.socketsDir, processes)
}
