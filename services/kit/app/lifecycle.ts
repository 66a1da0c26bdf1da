import { flushCompileCache } from 'node:module'
import type { ServiceNode } from '#graph/service.ts'
import { abortable, startTimer } from '../deadline.ts'
import { type Log, openLog } from '../telemetry/log.ts'
import { startTelemetry } from '../telemetry/telemetry.ts'
import { type Closable, openAdmin, type ReadinessCheck } from './admin.ts'
import { type Configuration, ConfigurationError, readConfiguration } from './configuration.ts'
import type { Offer, Operation, Way } from './operations.ts'

/** A service while it runs. Every part of the kit takes it first: its type says what the part may do. */
export type App<S extends ServiceNode = ServiceNode> = {
  readonly node: S
  readonly configuration: Configuration
  readonly log: Log
  /** Aborts when the process begins to stop: loops end, nothing new is taken up. */
  readonly stopping: AbortSignal
  /** Takes a part under the lifecycle: it is closed when the process stops, after the parts that were added later. */
  add<P extends Closable>(name: string, part: P | Promise<P>): Promise<P>
  /** Registers what has to hold for the service to be ready. */
  readyWhen(name: string, check: ReadinessCheck): void
  /** Offers something to operators under `/<name>` of the admin address, such as `dead-letters`; `ways` are what `parley operate` shows of it. */
  operate(name: string, operation: Operation, ways?: readonly Way[]): void
  /** Why the service is not ready, by part; empty when it is. */
  notReady(): Promise<Readonly<Record<string, string>>>
}

/** How a service stops. */
export type RunOptions = {
  /** Everything under way has this long to finish after the signal to stop. Default 8 s: the supervisor kills after 10 s. */
  readonly drainMsMax?: number
  /** How long calls are still taken after the process says that it is not ready, for those who route to it to notice. Default 0. */
  readonly lingerMs?: number
}

const drainMsDefault = 8_000

/**
 * Runs a service until it is told to stop. `start` opens its parts in the order in which they depend on each other; once it
 * returns, the process is ready. On SIGTERM or SIGINT it is not ready at once, closes its parts in reverse order, and
 * exits with 0; with 1 when it cannot start, an error escapes, or draining takes too long.
 */
export async function run<const S extends ServiceNode>(
  node: S,
  start: (app: App<S>) => Promise<void>,
  options: RunOptions = {},
): Promise<void> {
  // Sockets and files belong to this user alone from the moment they exist.
  process.umask(0o077)
  const log = openLog({ service: node.name, logLevel: 'info' })
  const fail = (message: string) => (thrown: unknown) => {
    if (thrown instanceof ConfigurationError) process.stderr.write(`${thrown.message}\n`)
    else log.error(message, { error: thrown })
    process.exit(1)
  }
  process.on('uncaughtException', fail('An error escaped; the process ends.'))
  process.on('unhandledRejection', fail('A rejection escaped; the process ends.'))

  const { lingerMs = 0, drainMsMax = drainMsDefault } = options
  let running: Running<S> | undefined
  const stop = once(async (signal: NodeJS.Signals) => {
    log.info('Stopping.', { signal })
    // While it starts, perhaps waiting for a part that never comes, nobody's request is under way: it just ends.
    const clean = running ? await running.stop({ lingerMs, drainMsMax }) : true
    process.exit(clean ? 0 : 1)
  })
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  running = await launch(node, start).catch(fail('The service cannot start.'))
  // Node writes its compile cache only when a process ends by itself, and a service may be killed; the next start is a third cheaper.
  flushCompileCache()
}

/** A started service. */
export type Running<S extends ServiceNode> = {
  readonly app: App<S>
  /** Drains and closes; true when everything ended in time. */
  stop(options?: RunOptions): Promise<boolean>
}

/** Starts a service without touching the process: what `run` does, for tests that hold several in one process. */
export async function launch<const S extends ServiceNode>(
  node: S,
  start: (app: App<S>) => Promise<void>,
  configuration: Configuration = readConfiguration(node),
  log: Log = openLog(configuration),
): Promise<Running<S>> {
  const beganMs = performance.now()
  const parts: { readonly name: string; readonly part: Closable }[] = []
  const checks = new Map<string, ReadinessCheck>()
  const operations = new Map<string, Offer>()
  const stopping = new AbortController()
  let started = false
  const notReady = async () => {
    if (stopping.signal.aborted) return { lifecycle: 'stopping' }
    return started ? failing(checks) : { lifecycle: 'starting' }
  }
  const app: App<S> = {
    node,
    configuration,
    log,
    stopping: stopping.signal,
    async add(name, opening) {
      const part = await opening
      parts.unshift({ name, part })
      return part
    },
    readyWhen: (name, check) => void checks.set(name, check),
    operate: (name, operation, ways = []) => void operations.set(name, { operation, ways }),
    notReady,
  }
  const stop = async ({ lingerMs = 0, drainMsMax = drainMsDefault }: RunOptions = {}) => {
    stopping.abort()
    if (lingerMs > 0) await new Promise((resolve) => setTimeout(resolve, lingerMs))
    return closeAll(parts, drainMsMax, log)
  }
  try {
    const telemetry = await startTelemetry(configuration, log)
    await app.add('telemetry', { close: telemetry.stop })
    const { serveMetrics } = telemetry
    await app.add('admin', openAdmin(configuration.admin, { notReady, serveMetrics, operations }))
    await start(app)
  } catch (thrown) {
    await stop()
    throw thrown
  }
  started = true
  log.info('Ready.', {
    startedInMs: Math.round(performance.now() - beganMs),
    parts: parts.map((part) => part.name).reverse(),
  })
  return { app, stop }
}

async function failing(checks: ReadonlyMap<string, ReadinessCheck>): Promise<Record<string, string>> {
  const reasons: Record<string, string> = {}
  for (const [name, check] of checks) {
    const reason = await Promise.resolve()
      .then(check)
      .catch((thrown: unknown) => String(thrown))
    if (reason !== undefined) reasons[name] = reason
  }
  return reasons
}

async function closeAll(
  parts: readonly { name: string; part: Closable }[],
  drainMsMax: number,
  log: Log,
): Promise<boolean> {
  const timer = startTimer(drainMsMax)
  let clean = true
  for (const { name, part } of parts) {
    try {
      await abortable(timer.signal, part.close())
    } catch (thrown) {
      clean = false
      log.error(`The part ${name} did not close cleanly.`, { error: thrown })
    }
  }
  timer.clear()
  if (clean) log.info('Stopped.')
  return clean
}

function once<A>(run: (argument: A) => Promise<void>): (argument: A) => void {
  let begun = false
  return (argument) => {
    if (begun) return
    begun = true
    void run(argument)
  }
}
