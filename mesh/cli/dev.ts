import { existsSync, readFileSync, watch } from 'node:fs'
import { join, relative } from 'node:path'
import type { Command } from 'commander'
import { sourceDir } from '#local/processes.ts'
import type { RunRequest } from '#local/run.ts'
import { controlOf } from '#local/supervisor/control.ts'
import { requestFileOf } from '#local/up.ts'
import { UsageError } from './exit.ts'
import { liveRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { followLogs } from './logs.ts'
import { print } from './output.ts'

/** Editors write a file in several steps. */
const settleMs = 100

/** `parley dev SERVICE`: restarts a service's application whenever its source changes. Ctrl-C ends the watching only. */
export function devCommand(program: Command): void {
  program
    .command('dev <service>')
    .description('restart a service whenever its source changes, and show its log')
    .option(...runOption)
    .option(...stateOption)
    .action(async (service: string, options: RunOptions) => {
      const { runDir, file } = await liveRun(options)
      const request = JSON.parse(readFileSync(requestFileOf(runDir), 'utf8')) as RunRequest
      const folders = watched(service, request)
      const restart = restarter(service, file.socket)
      for (const folder of folders) watch(folder, { recursive: true }, (_event, changed) => restart(String(changed)))
      print(
        `Watching ${folders.map((folder) => relative(process.cwd(), folder) || '.').join(' and ')}; Ctrl-C leaves ${service} running.`,
      )
      await followLogs([{ name: service, file: join(runDir, 'logs', `${service}.log`) }])
    })
}

function watched(service: string, { plan, rootDir }: RunRequest): string[] {
  const planned = plan.services.find(({ name }) => name === service)
  if (!planned) {
    throw new UsageError(
      `There is no service ${service}. There are: ${plan.services.map(({ name }) => name).join(', ')}.`,
    )
  }
  const folder = sourceDir(planned.start, rootDir)
  if (!folder) throw new UsageError(`${service} runs no file of this checkout, so there is nothing to watch.`)
  return [folder, join(rootDir, 'services/kit')].filter((one) => existsSync(one))
}

/** A change during a restart begins another at once, and only the last one tells how it went. */
function restarter(service: string, socket: string): (changed: string) => void {
  let timer: NodeJS.Timeout | undefined
  let last = 0
  const restart = async (changed: string): Promise<void> => {
    last += 1
    const own = last
    const beganMs = performance.now()
    const how = await controlOf(socket)
      .restart(service, true)
      .then(() => `is ready again after ${Math.round(performance.now() - beganMs)} ms`)
      .catch((error: unknown) => `does not start: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
    if (own === last) print(`${changed} changed: ${service} ${how}`)
  }
  return (changed) => {
    if (/(^|\/)\.|~$|\.test\.ts$/.test(changed)) return
    clearTimeout(timer)
    timer = setTimeout(() => void restart(changed), settleMs)
  }
}
