import type { Command } from 'commander'
import { controlOf } from '#local/supervisor/control.ts'
import type { ProcessStatus, RunStatus } from '#local/supervisor/status.ts'
import { findRun, type RunOptions, runOption, stateOption } from './find-run.ts'
import { print } from './output.ts'
import type { ClusterStatusOptions } from './status-cluster.ts'
import { table } from './table.ts'
import { chooseTarget } from './target.ts'

/** `parley status`: each process with state, pid, ports, memory, uptime and restarts. */
export function statusCommand(program: Command): void {
  program
    .command('status')
    .description('show each process: state, memory, uptime, restarts, where it listens')
    .option(...runOption)
    .option(...stateOption)
    .option('--context <context>', 'of a kubeconfig: show the system on that cluster instead')
    .option('--target <target>', 'kind: the cluster that up has made there')
    .option('--environment <name>', 'on a cluster: kind or production')
    .option('--mesh <mesh>', 'on a cluster: istio, linkerd or none (default: as its namespace is marked)')
    .option('--json', 'print the status as JSON')
    .action(async (options: RunOptions & ClusterStatusOptions) => {
      if (options.context !== undefined || options.target === 'kind') {
        return (await import('./status-cluster.ts')).showClusterStatus(options)
      }
      if (options.target !== undefined) await chooseTarget(options.target)
      const status = await statusOf(options)
      print(options.json ? JSON.stringify(status, null, 2) : statusText(status))
    })
}

/** A run's status; `died` is one whose supervisor was killed, which the next `up` or `down` cleans up after. */
type Status = Omit<RunStatus, 'state'> & { readonly state: RunStatus['state'] | 'died' }

async function statusOf(options: RunOptions): Promise<Status> {
  const run = await findRun(options)
  if (run?.live && run.file) return controlOf(run.file.socket).status()
  const system = run?.system ?? options.system ?? ''
  return { system, state: run?.file ? 'died' : 'stopped', urls: [], processes: [], memoryBytes: 0 }
}

function statusText({ system, state, urls, processes, memoryBytes }: Status): string {
  if (state === 'stopped') return `${system || 'Nothing'} is${system ? ' not' : ''} running. Start it: bin/parley up`
  if (state === 'died') {
    return `${system} lost its supervisor; parts of it may still run. Clean up: bin/parley down. Start it again: bin/parley up`
  }
  const rows = processes.map((one) => [
    one.name,
    one.state,
    one.pid === null ? '-' : String(one.pid),
    mebibytes(one.memoryBytes),
    one.uptimeMs === null ? '-' : duration(one.uptimeMs),
    String(one.restarts),
    remark(one),
  ])
  return [
    `${system} is ${state}${except(processes)}, ${mebibytes(memoryBytes)} in all.`,
    '',
    ...table([['NAME', 'STATE', 'PID', 'MEMORY', 'UPTIME', 'RESTARTS', ''], ...rows]),
    '',
    ...table(urls.map(({ name, url }) => [name, url])),
  ].join('\n')
}

/** What somebody stopped is no fault, but whoever reads "ready" must know of it. */
function except(processes: readonly ProcessStatus[]): string {
  const stopped = processes.filter(({ state }) => state === 'stopped').map(({ name }) => name)
  if (stopped.length === 0) return ''
  return `, but ${stopped.join(', ')} ${stopped.length === 1 ? 'was' : 'were'} stopped (bin/parley start ${stopped.at(-1)})`
}

function remark({ state, detail, lastExit, ports }: ProcessStatus): string {
  if (state === 'ready' || state === 'stopped') return [...ports, ...(lastExit ? [`last ${lastExit}`] : [])].join(' ')
  return detail ?? ''
}

function mebibytes(bytes: number): string {
  return bytes === 0 ? '-' : `${Math.round(bytes / 1024 / 1024)} MiB`
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}
