import type { Runner } from './command.ts'
import { ClusterError } from './failure.ts'
import type { HostPort } from './kind-config.ts'

/** What the checks look at, so that a test can say what they see. */
export type Machine = {
  readonly run: Runner
  /** A file of /proc, or null where there is none. */
  readonly read: (path: string) => string | null
  readonly memoryBytes: number
  /** Who holds a port of this machine, as a sentence; null where it is free. */
  readonly portTaken: (port: HostPort) => Promise<string | null>
}

/** What is asked of the machine. */
export type Needs = {
  readonly ports: readonly HostPort[]
  /** The cluster is there already: its ports and memory are in use by itself. */
  readonly running: boolean
}

/** What stops a run, and what only may. Each is one message with the next step. */
export type Findings = { readonly problems: readonly string[]; readonly warnings: readonly string[] }

/** Since 0.27 kind brings Kubernetes 1.32 or newer, whose `kindnet` enforces NetworkPolicies. */
const kindMin = [0, 27, 0] as const
const helmMin = [3, 14, 0] as const
/** Its kustomize builds the manifests of operators without a chart. */
const kubectlMin = [1, 28, 0] as const
const gibibyte = 1024 ** 3
const memoryMinGiB = 8
const inotifyMin = { max_user_instances: 512, max_user_watches: 524_288 } as const

/** Looks at everything that a run on kind stands on, and collects what is wrong. Nothing is changed. */
export async function preflight(machine: Machine, needs: Needs): Promise<Findings> {
  const [docker, kind, helm, kubectl, ports] = await Promise.all([
    checkDocker(machine, needs),
    checkVersion(machine.run, 'kind', ['version'], kindMin),
    checkVersion(machine.run, 'helm', ['version', '--short'], helmMin),
    checkVersion(machine.run, 'kubectl', ['version', '--client'], kubectlMin),
    Promise.all(needs.running ? [] : needs.ports.map(machine.portTaken)),
  ])
  const inotify = docker.local ? checkInotify(machine) : none
  return {
    problems: [
      ...docker.problems,
      ...kind,
      ...helm,
      ...kubectl,
      ...inotify.problems,
      ...ports.filter((one) => one !== null),
    ],
    warnings: inotify.warnings,
  }
}

/** @throws ClusterError PREFLIGHT with every problem, when there is one */
export function requireFit({ problems }: Findings): void {
  if (problems.length === 0) return
  throw new ClusterError(
    'PREFLIGHT',
    `This machine is not ready for kind:\n${problems.map((problem) => `  - ${problem.replaceAll('\n', '\n    ')}`).join('\n')}\nNothing was started. Mend ${problems.length === 1 ? 'it' : 'them'} and run it again, or run without a cluster: bin/parley up --target local`,
  )
}

const answerMsMax = 15_000
const none: Findings = { problems: [], warnings: [] }

async function checkDocker(
  { run, read, memoryBytes }: Machine,
  { running }: Needs,
): Promise<{ readonly problems: readonly string[]; readonly local: boolean }> {
  const format = '{{.MemTotal}} {{.OSType}} {{.ServerVersion}}'
  const said = await run('docker', ['info', '--format', format], { timeoutMs: answerMsMax })
  if (said.code === null) return { problems: ['There is no docker on the PATH. Install Docker.'], local: false }
  const [total = '', os = ''] = said.stdout.trim().split('\n').at(-1)?.split(' ') ?? []
  if (said.code !== 0 || !/^\d+$/.test(total) || total === '0') {
    const why = said.stderr.trim().split('\n').at(-1) || said.stdout.trim() || 'no answer'
    const denied = /permission denied/i.test(why)
    const next = denied
      ? 'Add yourself to the group docker, and log in again.'
      : 'Start Docker (systemctl start docker, or Docker Desktop).'
    return { problems: [`Docker does not answer: ${why}\n${next}`], local: false }
  }
  if (os !== 'linux') return { problems: [`Docker runs ${os} containers; kind needs linux ones.`], local: false }
  // Docker Desktop has a machine of its own; elsewhere its memory is ours, and others use it too.
  const local = Math.abs(Number(total) - memoryBytes) < memoryBytes / 20
  const free = local && !running ? Math.min(Number(total), availableBytes(read) ?? Number(total)) : Number(total)
  const enough = free >= memoryMinGiB * gibibyte * (running ? 0.9 : 1)
  return { problems: enough ? [] : [memoryProblem(free, local)], local }
}

function memoryProblem(free: number, local: boolean): string {
  const has = (free / gibibyte).toFixed(1)
  return local
    ? `Docker has ${has} GiB of memory free; a cluster with everything on it needs ${memoryMinGiB} GiB. End what uses it.`
    : `Docker has ${has} GiB of memory; a cluster with everything on it needs ${memoryMinGiB} GiB. Give it more (Settings, Resources).`
}

function availableBytes(read: Machine['read']): number | null {
  const kibibytes = read('/proc/meminfo')?.match(/^MemAvailable:\s+(\d+) kB/m)?.[1]
  return kibibytes === undefined ? null : Number(kibibytes) * 1024
}

async function checkVersion(
  run: Runner,
  program: string,
  args: readonly string[],
  min: readonly [number, number, number],
): Promise<readonly string[]> {
  const said = await run(program, args, { timeoutMs: answerMsMax })
  const wanted = min.join('.')
  if (said.code === null) return [`There is no ${program} on the PATH. Install ${program} ${wanted} or newer.`]
  const found = said.stdout.match(/v?(\d+)\.(\d+)\.(\d+)/)
  if (said.code !== 0 || !found)
    return [`${program} does not say its version: ${said.stderr.trim() || said.stdout.trim()}`]
  const version = [Number(found[1]), Number(found[2]), Number(found[3])]
  return isOlder(version, min) ? [`${program} is ${version.join('.')}; ${wanted} or newer is needed. Update it.`] : []
}

function isOlder(version: readonly number[], min: readonly number[]): boolean {
  const index = min.findIndex((part, at) => version[at] !== part)
  return index >= 0 && (version[index] ?? 0) < (min[index] ?? 0)
}

/** Three nodes full of pods watch many files, and the limits are not a container's own: the kernel shares them out by user. */
function checkInotify({ read }: Machine): Findings {
  const low = Object.entries(inotifyMin).flatMap(([name, min]) => {
    const value = Number(read(`/proc/sys/fs/inotify/${name}`) ?? Number.POSITIVE_INFINITY)
    if (value >= min) return []
    const text = `fs.inotify.${name} is ${value}; pods end with "too many open files" below ${min}. Raise it: sudo sysctl fs.inotify.${name}=${min}`
    return [{ name, text }]
  })
  return {
    problems: low.filter(({ name }) => name === 'max_user_instances').map(({ text }) => text),
    warnings: low.filter(({ name }) => name !== 'max_user_instances').map(({ text }) => text),
  }
}
