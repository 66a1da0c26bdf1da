import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import type { Plan, PlannedExternal, PlannedService } from '#plan/plan.ts'
import { type EnvironmentOptions, serviceEnvironment, standInEnvironment } from './environment.ts'
import { accepts, statusOnSocket } from './health.ts'
import type { Endpoint, Layout, ServiceSite } from './layout.ts'
import { needsOf } from './parts/parts.ts'
import type { ProcessSpec } from './process.ts'
import { envoyCommand, inotifyInstances, sidecarFiles } from './sidecar.ts'

/** What applications and sidecars are started with, beside plan and layout. */
export type ProgramOptions = {
  /** The folder to which `start` paths of the declaration are relative. */
  readonly rootDir: string
  readonly node: string
  readonly envoy: string
  /** Where programs of commands are looked for, as `PATH` says it. */
  readonly path: string
  readonly home: string
  /** Where every Node of the run keeps its compiled code, so that only the first start compiles. */
  readonly compileCacheDir: string
  /** Whether there is somebody to send traces to. */
  readonly telemetry: boolean
  readonly environment: EnvironmentOptions
}

type Start = PlannedService['start']

/** Services are asked to end, drain for up to 8 s, and are killed after this. */
const serviceGraceMs = 10_000
/** Threads for V8 beside the main one, of 4 by default. A dozen services share few cores, and each thread keeps memory. */
const v8Threads = 1
/** Most of a service's memory is not its young objects: a small nursery costs a little work and saves tens of MiB. */
const semiSpaceMiB = 8

/** The sidecars of a plan's services, and the services: each needs its sidecar and the parts that it is granted. */
export function servicePrograms(plan: Plan, layout: Layout, options: ProgramOptions): ProcessSpec[] {
  return plan.services.flatMap((service) => {
    const site = layout.services[service.name]
    if (!site) throw new Error(`the layout has no service ${service.name}`)
    return [sidecar(plan, layout, service.name, site, options), application(plan, layout, service, site, options)]
  })
}

/** The stand-ins of systems outside. Nobody waits for them: what is outside may always be down. */
export function standInPrograms(plan: Plan, layout: Layout, options: ProgramOptions): ProcessSpec[] {
  return plan.externals.flatMap((external) =>
    external.standIn ? [standIn(plan, layout, external, external.standIn.start, options)] : [],
  )
}

function sidecar(plan: Plan, layout: Layout, name: string, site: ServiceSite, options: ProgramOptions): ProcessSpec {
  const [program = options.envoy, ...args] = envoyCommand(options.envoy, layout, name)
  return {
    name: `${name}.sidecar`,
    kind: 'sidecar',
    argv: [program, ...args],
    env: {},
    cwd: layout.runDir,
    user: null,
    logFile: join(layout.logsDir, `${name}.sidecar.log`),
    needs: [],
    listens: [site.inbound, site.metrics, ...(site.edge ? [site.edge] : [])],
    inotifyInstances: inotifyInstances(plan, layout, name),
    sockets: [site.outboundSocket, site.envoyAdminSocket, ...Object.values(site.egressSockets)],
    urls: site.edge ? [`http://${site.edge.address}:${site.edge.port}`] : [],
    prepare: () => sidecarFiles(plan, layout, name),
    ready: async (signal) => (await statusOnSocket(site.envoyAdminSocket, '/ready', signal)) === 200,
    stop: { signal: 'SIGTERM', graceMs: 2_000 },
  }
}

function application(
  plan: Plan,
  layout: Layout,
  service: PlannedService,
  site: ServiceSite,
  options: ProgramOptions,
): ProcessSpec {
  const { name, start, protocol, resources } = service
  const environment = serviceEnvironment(plan, layout, name, { ...options.environment, path: options.path })
  return {
    ...program(name, start, layout, options, Math.round(resources.memoryMiB * 0.75)),
    kind: 'service',
    env: {
      ...own(options),
      ...environment,
      ...(options.telemetry ? {} : { OTEL_TRACES_EXPORTER: 'none' }),
    },
    needs: [`${name}.sidecar`, ...needsOf(plan, name)],
    sockets: [...(protocol ? [site.appSocket] : []), site.appAdminSocket],
    ready: async (signal) => {
      const admin = await statusOnSocket(site.appAdminSocket, '/readyz', signal)
      if (admin !== null) return admin === 200
      // A service in another language may open no admin socket: then its interface tells, and without one, that it runs.
      if (protocol) return accepts({ path: site.appSocket }, signal)
      return start.kind === 'command'
    },
  }
}

function standIn(
  plan: Plan,
  layout: Layout,
  { name }: PlannedExternal,
  start: Start,
  options: ProgramOptions,
): ProcessSpec {
  const site = layout.externals[name]
  if (!site) throw new Error(`the layout has no external ${name}`)
  const { address, port } = site.listen
  return {
    ...program(name, start, layout, options, 64),
    kind: 'standin',
    env: {
      ...own(options),
      ...standInEnvironment(plan, layout, name, { ...options.environment, path: options.path }),
    },
    needs: [],
    listens: [site.listen, ...(site.web ? [site.web] : [])],
    sockets: [site.adminSocket],
    urls: site.web ? [httpUrl(site.web)] : [],
    ready: async (signal) => {
      const admin = await statusOnSocket(site.adminSocket, '/readyz', signal)
      return admin === null ? accepts({ host: address, port }, signal) : admin === 200
    },
  }
}

function program(name: string, start: Start, layout: Layout, options: ProgramOptions, heapMiB: number) {
  return {
    name,
    argv: argvOf(name, start, options, heapMiB),
    cwd: options.rootDir,
    user: null,
    logFile: join(layout.logsDir, `${name}.log`),
    listens: [] as readonly Endpoint[],
    urls: [] as readonly string[],
    prepare: async () => void mkdirSync(join(layout.socketsDir, name), { recursive: true, mode: 0o700 }),
    stop: { signal: 'SIGTERM', graceMs: serviceGraceMs },
  } as const
}

function own({ home, compileCacheDir }: ProgramOptions): Record<string, string> {
  return { HOME: home, NODE_COMPILE_CACHE: compileCacheDir }
}

function argvOf(name: string, start: Start, options: ProgramOptions, heapMiB: number): ProcessSpec['argv'] {
  switch (start.kind) {
    case 'module': {
      const space = [`--max-old-space-size=${heapMiB}`, `--max-semi-space-size=${semiSpaceMiB}`]
      return [options.node, ...space, `--v8-pool-size=${v8Threads}`, join(options.rootDir, start.file)]
    }
    case 'command': {
      const [command = '', ...args] = start.argv
      return [programPath(name, command, options), ...args]
    }
    case 'image':
      throw new Error(
        `${name} starts from the image ${start.image}, and the local run starts no containers. Give it another start for the local environment: module(file) or command(...).`,
      )
  }
}

/** A command as it would be found in the folder that `start` is relative to. Throws when it is nowhere. */
function programPath(name: string, command: string, { rootDir, path }: ProgramOptions): string {
  const candidates = command.includes('/')
    ? [join(command.startsWith('/') ? '/' : rootDir, command)]
    : path.split(delimiter).map((folder) => join(folder, command))
  const found = candidates.find((candidate) => existsSync(candidate))
  if (found) return found
  throw new Error(
    `${name} starts with ${command}, which is not there. Looked for ${command.includes('/') ? candidates[0] : `it in ${path}`}; install it or correct its start.`,
  )
}

function httpUrl({ address, port }: Endpoint): string {
  return `http://${address}:${port}`
}

/** The folder whose changes are a service's own: where its module, or the file that its command runs, lies. */
export function sourceDir(start: Start, rootDir: string): string | null {
  switch (start.kind) {
    case 'module':
      return dirname(join(rootDir, start.file))
    case 'command': {
      const file = start.argv.find((argument) => argument.includes('/') && existsSync(join(rootDir, argument)))
      return file === undefined ? null : dirname(join(rootDir, file))
    }
    case 'image':
      return null
  }
}
