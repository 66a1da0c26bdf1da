import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clients, findClients } from './clients.ts'
import { fetchTool, folderOf, isFetched, type Place, removeLeftovers } from './fetch.ts'
import { withLock } from './lock.ts'
import { type Machine, thisMachine } from './machine.ts'
import { installPackages, type MissingPackage } from './packages.ts'
import { ToolchainError } from './problem.ts'
import {
  type Architecture,
  type FetchedName,
  type FetchedTool,
  fetchedTools,
  type PackagedName,
  packagedNames,
  packagedTools,
  type ToolName,
  zipkinJar,
} from './tools.ts'

/** The programs of a run, as absolute paths. Reading that of a tool which was not asked for throws. */
export type Tools = {
  /** The Node that the lock file pins. Always there: it is what runs us. */
  readonly node: string
  readonly java: string
  /** Kafka's jars, as Java takes them: `<folder>/*`. */
  readonly kafkaClasspath: string
  readonly zipkinJar: string
  readonly envoy: string
  /** The folder of `postgres`, `initdb`. */
  readonly postgresBin: string
  /** The folder of `rabbitmq-server`, `rabbitmqctl`. */
  readonly rabbitmqSbin: string
  readonly prometheus: string
}

/** What happens while tools are brought: for a person who waits. */
export type ToolProgress = {
  /** The tool, by its title, or the packages of the distribution. */
  readonly what: string
  /** `waiting`: another process brings tools. `working`: `detail` is a line of the client's output. */
  readonly state: 'waiting' | 'started' | 'working' | 'done'
  readonly detail: string
}

/** What to bring, where to, and whom to tell. */
export type ToolchainOptions = {
  /** Where fetched tools are kept, shared by all runs of a checkout. Absolute; made when it is missing. */
  readonly toolsDir: string
  /** What the run stands on. Kafka and Zipkin stand on Java, which need not be named. */
  readonly needs: readonly ToolName[]
  readonly report: Report
}

type Report = (event: ToolProgress) => void

/**
 * Makes every tool of `needs` be there, in the pinned version, and gives their paths. What is there already costs a
 * few file look-ups: no process, no network. What is missing is brought by ordinary registry clients: packages of the
 * distribution in one call (which takes root), the rest into `toolsDir`, verified by hash. Processes that call at the
 * same time wait for one another. Throws ToolchainError.
 */
export async function ensureToolchain(options: ToolchainOptions, machine: Machine = thisMachine()): Promise<Tools> {
  const { toolsDir, report } = options
  const place = { toolsDir, arch: architectureOf(machine) }
  const job: Job = { machine, place, needs: withFoundations(options.needs), report }
  if (missingPackaged(job).length > 0 || (await missingFetched(job)).length > 0) {
    await mkdir(toolsDir, { recursive: true })
    const onWait = (pid: number): void =>
      report({ what: 'tools', state: 'waiting', detail: `process ${pid} is bringing them` })
    await withLock(join(toolsDir, '.lock'), onWait, () => bring(job))
  }
  return pathsOf(job)
}

type Job = {
  readonly machine: Machine
  readonly place: Place
  readonly needs: ReadonlySet<ToolName>
  readonly report: Report
}

async function bring(job: Job): Promise<void> {
  const toFetch = await missingFetched(job)
  const clients = await ensurePackages(job, toFetch)
  await removeLeftovers(job.place.toolsDir)
  await fetchAll(job, toFetch, clients)
}

function architectureOf({ platform, arch }: Machine): Architecture {
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return arch
  throw new ToolchainError(
    'UNSUPPORTED_SYSTEM',
    `The local run needs Linux on x64 or arm64, and this is ${platform} on ${arch}. ` +
      'Use Debian 12 or newer, or Ubuntu 22.04 or newer, in a virtual machine if need be.',
  )
}

function withFoundations(needs: readonly ToolName[]): ReadonlySet<ToolName> {
  const onJava = needs.includes('kafka') || needs.includes('zipkin')
  return new Set(onJava ? [...needs, 'java'] : needs)
}

function missingPackaged({ machine, needs }: Job): readonly MissingPackage[] {
  return packagedNames
    .filter((name) => needs.has(name) && packagedTools[name].find(machine) === null)
    .map((name) => packagedTools[name])
}

async function missingFetched({ place, needs }: Job): Promise<readonly FetchedTool[]> {
  const needed = Object.values(fetchedTools).filter(({ name }) => needs.has(name))
  const there = await Promise.all(needed.map((tool) => isFetched(tool, place)))
  return needed.filter((_, index) => !there[index])
}

/** All packages are installed at once, and first: the clients that fetch the rest may be among them. */
async function ensurePackages(job: Job, toFetch: readonly FetchedTool[]): Promise<Clients> {
  const { machine, report } = job
  const before = await findClients(machine, toFetch)
  const missing = [...missingPackaged(job), ...before.missing]
  if (missing.length === 0) return before.clients
  const titles = missing.map(({ title }) => title).join(', ')
  await reported(report, titles, (onLine) => installPackages(machine, missing, onLine))
  const after = await findClients(machine, toFetch)
  const [still] = [...missingPackaged(job), ...after.missing]
  if (!still) return after.clients
  throw new ToolchainError(
    'INSTALL_FAILED',
    `The package of ${still.title} was installed, and yet it is not found. Parley looks for ${still.lookedFor}.`,
  )
}

/** Clients work side by side, each on one tool at a time: two Mavens would write into one local repository. */
async function fetchAll(
  { machine, place, report }: Job,
  tools: readonly FetchedTool[],
  clients: Clients,
): Promise<void> {
  const fetchInTurn = async (lane: readonly FetchedTool[]): Promise<void> => {
    for (const tool of lane) {
      await reported(report, tool.title, (onLine) => fetchTool(tool, place, { machine, clients, onLine }))
    }
  }
  const lanes = Map.groupBy(tools, ({ client }) => client)
  const outcomes = await Promise.allSettled([...lanes.values()].map(fetchInTurn))
  // Every lane has ended by now, so that a failure leaves no client behind at work.
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
}

async function reported(
  report: Report,
  what: string,
  work: (onLine: (line: string) => void) => Promise<void>,
): Promise<void> {
  report({ what, state: 'started', detail: '' })
  await work((line) => report({ what, state: 'working', detail: withoutAddresses(line) }))
  report({ what, state: 'done', detail: '' })
}

/** A long address hides what is being downloaded. */
function withoutAddresses(line: string): string {
  return line.replace(/https?:\S*\//g, '')
}

function pathsOf({ machine, place, needs }: Job): Tools {
  const asked = (name: ToolName, path: string | null): string => {
    if (needs.has(name) && path !== null) return path
    throw new Error(`The tool ${name} was not asked for: name it in the needs of ensureToolchain`)
  }
  const packaged = (name: PackagedName): string => asked(name, packagedTools[name].find(machine))
  const fetched = (name: FetchedName, file: string): string =>
    asked(name, join(folderOf(place.toolsDir, fetchedTools[name]), file))
  return {
    node: machine.node,
    get java() {
      return packaged('java')
    },
    get kafkaClasspath() {
      return fetched('kafka', '*')
    },
    get zipkinJar() {
      return fetched('zipkin', zipkinJar)
    },
    get envoy() {
      return fetched('envoy', 'envoy')
    },
    get postgresBin() {
      return packaged('postgres')
    },
    get rabbitmqSbin() {
      return packaged('rabbitmq')
    },
    get prometheus() {
      return packaged('prometheus')
    },
  }
}
