import { delimiter, join } from 'node:path'
import type { Command } from 'commander'
import { checkSystem } from '#checks/check.ts'
import { reportText } from '#checks/report.ts'
import type { RunRequest } from '#local/run.ts'
import { up } from '#local/up.ts'
import { derive } from '#plan/derive.ts'
import type { Plan } from '#plan/plan.ts'
import { exitCodes, UsageError } from './exit.ts'
import { stateDirOf, stateOption } from './find-run.ts'
import { loadSystem, projectDir } from './load.ts'
import { print, systemOption } from './output.ts'
import { missingPrograms, programsMend } from './programs.ts'
import { openProgress } from './progress.ts'
import { chooseTarget, targetOption } from './target.ts'
import { welcome } from './welcome.ts'

type Options = {
  system?: string
  state?: string
  target?: string
  mesh?: string
  subnet?: string
  host?: string
  fresh?: boolean
  foreground?: boolean
  telemetry?: boolean
}

/** `parley up`: starts a system and says where it is reached. Exits with 1 for findings, 2 for wrong use, 3 when it fails. */
export function upCommand(program: Command): void {
  program
    .command('up')
    .description('start the system and say where it is reached')
    .option(...systemOption)
    .option(...targetOption)
    .option('--mesh <mesh>', 'on a cluster: istio, linkerd or none (default: istio)')
    .option(...stateOption)
    .option('--subnet <base>', "the run's own loopback network, such as 127.77.1 (default: $PARLEY_SUBNET, 127.77.0)")
    .option('--host <address>', 'where people reach it (default: $PARLEY_HOST, 127.0.0.1)')
    .option('--fresh', 'remove all of its data first')
    .option('--foreground', 'stay until Ctrl-C, then stop everything')
    .option('--telemetry', 'run Prometheus and Zipkin (default: where there is a broker or a store)')
    .option('--no-telemetry', 'run neither')
    .action(run)
}

async function run(options: Options): Promise<void> {
  const loaded = await loadSystem(options.system)
  const report = checkSystem(loaded.system)
  if (report.findings.length > 0) {
    process.stderr.write(`${reportText(report)}\nNothing was started.\n`)
    process.exitCode = exitCodes.findings
    return
  }
  const target = await chooseTarget(options.target ?? process.env.TARGET)
  if (target.target === 'kind') {
    refuseLocalOptions(options)
    // The client of Kubernetes takes a second to load, which a local run need not wait for.
    const { upKind } = await import('./up-kind.ts')
    return upKind(loaded, options.mesh ?? process.env.MESH, target.why)
  }
  if (options.mesh !== undefined) {
    throw new UsageError('--mesh chooses the mesh of a cluster; a local run always has Envoy as its own. Leave it out.')
  }
  const request = requestOf(derive(loaded.system, 'local'), loaded, options)
  requirePrograms(request.plan, loaded.rootDir)
  const progress = openProgress(process.stdout)
  progress.say(`${loaded.system.name} on this machine (${target.why})`)
  const interrupt = interruptible(() => progress.say('Stopping what was started …'))
  const { fresh = false, foreground = false } = options
  const ready = (urls: Parameters<typeof welcome>[1], how: string): void => {
    progress.end()
    print(welcome(request.plan, urls, how))
  }
  const outcome = await up(request, {
    interrupt,
    fresh,
    foreground,
    report: (event) =>
      event.kind === 'ready' ? ready(event.urls, `is ready after ${progress.elapsed()}`) : progress.show(event),
  }).finally(() => progress.end())
  switch (outcome.kind) {
    case 'ready':
      return ready(outcome.urls, `is ready after ${progress.elapsed()}`)
    case 'already':
      return ready(outcome.urls, 'is running already')
    case 'failed':
      process.stderr.write(`${outcome.message}\nNothing was left running. Mend it and run up again.\n`)
      process.exitCode = exitCodes.failed
      return
    case 'interrupted':
      print('Interrupted: nothing that this command started was left running.')
      // Tools may still be on their way; what is half there is fetched anew the next time.
      process.exit(130)
      break
    case 'ended':
      return print('Everything has ended.')
  }
}

/** What only a local run has is not left out silently. */
function refuseLocalOptions({ state, subnet, host, fresh, foreground, telemetry }: Options): void {
  const given = Object.entries({ state, subnet, host, fresh, foreground, telemetry }).filter(
    ([, value]) => value !== undefined,
  )
  if (given.length === 0) return
  throw new UsageError(
    `${given.map(([name]) => `--${name}`).join(', ')}: only a local run has that, and this one is on kind. Leave it out, or give --target local.`,
  )
}

/** A module that is not there is found out before anything that runs is stopped for it. */
function requirePrograms(plan: Plan, rootDir: string): void {
  const missing = missingPrograms(plan, rootDir)
  if (missing.length > 0) throw new UsageError(`There is no such file:\n  ${missing.join('\n  ')}\n${programsMend}`)
}

function requestOf(plan: Plan, loaded: { file: string; rootDir: string }, options: Options): RunRequest {
  const { env } = process
  const stateDir = stateDirOf(options)
  return {
    plan,
    layout: { stateDir, subnet: subnetOf(options), host: options.host ?? env.PARLEY_HOST ?? '127.0.0.1' },
    systemFile: loaded.file,
    rootDir: loaded.rootDir,
    toolsDir: env.PARLEY_TOOLS ?? join(projectDir, '.parley/tools'),
    compileCacheDir: env.NODE_COMPILE_CACHE ?? join(projectDir, '.parley/cache/node'),
    telemetry: options.telemetry ?? (plan.topics.length > 0 || plan.queues.length > 0 || plan.stores.length > 0),
    path: env.PATH ?? ['/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
    home: env.HOME ?? '/',
    environment: {
      ...(env.LOG_LEVEL ? { logLevel: env.LOG_LEVEL } : {}),
      ...(env.KAFKA_CLIENT ? { kafkaClient: kafkaClientOf(env.KAFKA_CLIENT) } : {}),
    },
  }
}

function subnetOf(options: Options): string {
  const subnet = options.subnet ?? process.env.PARLEY_SUBNET ?? '127.77.0'
  if (/^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){2}$/.test(subnet)) return subnet
  throw new UsageError(`${subnet} is no loopback network of a run. Give its first three numbers: --subnet 127.77.1`)
}

function kafkaClientOf(given: string): 'kafkajs' | 'platformatic' {
  if (given === 'kafkajs' || given === 'platformatic') return given
  throw new UsageError(`KAFKA_CLIENT is ${given}; it may be kafkajs or platformatic.`)
}

function interruptible(told: () => void): AbortController {
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!interrupt.signal.aborted) told()
      interrupt.abort()
    })
  }
  return interrupt
}
