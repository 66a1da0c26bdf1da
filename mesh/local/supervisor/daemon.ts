import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Layout } from '../layout.ts'
import type { ProcessSpec } from '../process.ts'
import { type Control, openControl } from './control.ts'
import { RunFailure } from './failure.ts'
import type { Life } from './life.ts'
import { rotate } from './log.ts'
import { takenPorts } from './ports.ts'
import { bootId, memoryBytes, processRow } from './proc.ts'
import type { ProcessState } from './record.ts'
import { claimRunFile, type RunFile, removeRunFile, writeRunFile } from './run-file.ts'
import { overall, type RunStatus, type RunUrl, statusOf, urlsOf } from './status.ts'
import { Supervisor } from './supervisor.ts'

/** A run to be supervised. */
export type SupervisedRun = {
  readonly layout: Pick<Layout, 'host' | 'runDir' | 'socketsDir' | 'logsDir'>
  readonly system: string
  readonly systemFile: string
  readonly subnet: string
  readonly fingerprint: string
  readonly specs: readonly ProcessSpec[]
  /** What must be there before anything starts: certificates. Repeated every hour, for those that end soon. */
  prepare(): Promise<void>
  /** Issues every certificate anew. `settle` is called after each step, for everybody to take it up. */
  rotate(authority: boolean, settle: () => Promise<void>): Promise<void>
}

/** What happens on the way, for a person who waits. `failed` is the last thing said; `ready` the last good one. */
export type RunEvent =
  | {
      readonly kind: 'process'
      readonly name: string
      readonly of: ProcessSpec['kind']
      readonly state: ProcessState
      readonly detail: string | null
    }
  | { readonly kind: 'ready'; readonly urls: readonly RunUrl[] }
  | { readonly kind: 'failed'; readonly message: string }

const logsEveryMs = 5_000
const certificatesEveryMs = 3_600_000

/**
 * Runs a run, from its claim on the folder to its last trace: it returns when `stop` aborts or somebody asks for its
 * end, or when it failed to start, and then nothing of it is left but data and logs. True when it had been ready.
 */
export async function superviseRun(
  run: SupervisedRun,
  report: (event: RunEvent) => void,
  stop: AbortController,
): Promise<boolean> {
  const { layout, specs } = run
  for (const dir of [layout.runDir, layout.logsDir, layout.socketsDir]) mkdirSync(dir, { recursive: true, mode: 0o700 })
  const supervisor = new Supervisor(specs, { changed: (life) => changed(life) })
  let file = firstFile(run)
  if (!claimRunFile(layout.runDir, file)) {
    report({ kind: 'failed', message: `Another start of ${run.system} is under way in ${layout.runDir}.` })
    return false
  }
  const update = (state: RunFile['state'] = file.state): void => {
    file = { ...file, state, processes: recorded(supervisor) }
    writeRunFile(layout.runDir, file)
  }
  const changed = (life: Life): void => {
    const { name, kind } = life.spec
    const { state, detail } = life.record
    update()
    report({ kind: 'process', name, of: kind, state, detail })
  }
  const ended = Promise.withResolvers<void>()
  const control = await openControl(
    file.socket,
    controlFor(
      run,
      supervisor,
      () => file.state,
      async () => {
        stop.abort()
        await ended.promise
      },
    ),
  )
  const timers = [
    setInterval(() => rotateLogs(specs, layout.logsDir), logsEveryMs),
    setInterval(() => void renew(run, supervisor), certificatesEveryMs),
  ]
  try {
    await refuseTakenPorts(specs)
    await run.prepare()
    await supervisor.start(stop.signal)
    if (!stop.signal.aborted) {
      update('ready')
      report({ kind: 'ready', urls: file.urls })
      await aborted(stop.signal)
    }
  } catch (error) {
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  }
  const wasReady = file.state === 'ready'
  for (const timer of timers) clearInterval(timer)
  update('stopping')
  await supervisor.stopAll()
  ended.resolve()
  await control.close()
  rmSync(layout.socketsDir, { recursive: true, force: true })
  removeRunFile(layout.runDir)
  return wasReady
}

function firstFile(run: SupervisedRun): RunFile {
  const { layout, system, systemFile, subnet, fingerprint } = run
  return {
    version: 1,
    pid: process.pid,
    startTicks: processRow(process.pid)?.startTicks ?? 0,
    bootId: bootId(),
    system,
    systemFile,
    subnet,
    host: layout.host,
    fingerprint,
    state: 'starting',
    startedAt: new Date().toISOString(),
    socket: join(layout.socketsDir, 'control.sock'),
    socketsDir: layout.socketsDir,
    urls: urlsOf(run.specs),
    processes: [],
  }
}

function recorded(supervisor: Supervisor): RunFile['processes'] {
  return supervisor.lives.flatMap(({ spec, child }) =>
    child ? [{ name: spec.name, pid: child.pid, startTicks: child.startTicks, stopSignal: spec.stop.signal }] : [],
  )
}

function controlFor(
  run: SupervisedRun,
  supervisor: Supervisor,
  state: () => RunFile['state'],
  down: () => Promise<void>,
): Control {
  return {
    status: () => statusNow(run, supervisor, state()),
    start: (name) => supervisor.startOne(name),
    stop: (name) => supervisor.stopOne(name),
    restart: (name, applicationOnly) => supervisor.restartOne(name, applicationOnly),
    rotate: (authority) => run.rotate(authority, () => takeUp(supervisor)),
    down,
  }
}

function statusNow(run: SupervisedRun, supervisor: Supervisor, state: RunFile['state']): RunStatus {
  const processes = statusOf(supervisor.lives, performance.now())
  const own = memoryBytes(process.pid)
  return {
    system: run.system,
    state: state === 'ready' ? overall(processes) : state,
    urls: urlsOf(run.specs),
    processes,
    memoryBytes: processes.reduce((sum, one) => sum + one.memoryBytes, own),
  }
}

async function refuseTakenPorts(specs: readonly ProcessSpec[]): Promise<void> {
  const taken = await takenPorts(specs)
  if (taken.length === 0) return
  const sentences = taken.map(({ sentence }) => sentence).join('\n')
  throw new RunFailure(
    `${sentences}\nEnd what holds ${taken.length > 1 ? 'them' : 'it'}, or run elsewhere: --host 127.0.0.2 for the addresses that people use, --subnet 127.77.1 for the others.`,
  )
}

function rotateLogs(specs: readonly ProcessSpec[], logsDir: string): void {
  for (const file of [...specs.map((spec) => spec.logFile), join(logsDir, 'supervisor.log')]) rotate(file)
}

async function renew(run: SupervisedRun, supervisor: Supervisor): Promise<void> {
  await run.prepare()
  await takeUp(supervisor)
}

/** Sidecars see new certificates by themselves, within this time; the others are told. */
const noticedMs = 1_000

async function takeUp(supervisor: Supervisor): Promise<void> {
  const [failures] = await Promise.all([supervisor.reload(), sleep(noticedMs)])
  if (failures.length > 0) throw new RunFailure(`Not everyone took the new certificates up: ${failures.join('; ')}`)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
