import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Layout } from '../layout.ts'
import type { ProcessSpec } from '../process.ts'
import { type Control, openControl } from './control.ts'
import { RunFailure } from './failure.ts'
import { inotifyShortage } from './inotify.ts'
import { rotate } from './log.ts'
import { makeOwnFolder } from './own-folder.ts'
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
  /** What must be there before anything starts: certificates. */
  prepare(): Promise<void>
  /** Makes certificates that end soon anew, every hour. `settle` is called after each step, for everybody to take it up. */
  renew(settle: () => Promise<void>): Promise<void>
  /** Issues every certificate anew; `settle` as for `renew`. Of these three one is under way at a time. */
  rotate(authority: boolean, settle: () => Promise<void>): Promise<void>
}

/** What happens on the way, for a person who waits. After `ready`, `busy` (another has claimed it) or `failed` a start is over. */
export type RunEvent =
  | {
      readonly kind: 'process'
      readonly name: string
      readonly of: ProcessSpec['kind']
      readonly state: ProcessState
      readonly detail: string | null
    }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'ready'; readonly urls: readonly RunUrl[] }
  | { readonly kind: 'busy' }
  | { readonly kind: 'failed'; readonly message: string }

const logsEveryMs = 5_000
const certificatesEveryMs = 3_600_000

/**
 * Runs a run, from its claim on the folder to its last trace: it returns when `stop` aborts or somebody asks for its
 * end, or when it failed to start, and then nothing of it is left but data and logs. True when it had been ready.
 *
 * When this process is killed itself, the children live on, as Linux lets nobody but a direct parent with native code tie
 * them to its life: the file names them, and the next `up` or `down` ends them.
 */
export async function superviseRun(
  run: SupervisedRun,
  report: (event: RunEvent) => void,
  stop: AbortController,
): Promise<boolean> {
  const { layout, specs } = run
  for (const dir of [layout.runDir, layout.logsDir]) mkdirSync(dir, { recursive: true, mode: 0o700 })
  makeOwnFolder(layout.socketsDir)
  const ledger = openLedger(run, (text) => report({ kind: 'note', text }))
  if (!ledger) {
    report({ kind: 'busy' })
    return false
  }
  const supervisor = new Supervisor(withOwnSockets(specs, layout.socketsDir), {
    changed: ({ spec, record }) => {
      ledger.write({ processes: recorded(supervisor) })
      report({ kind: 'process', name: spec.name, of: spec.kind, state: record.state, detail: record.detail })
    },
  })
  const ended = Promise.withResolvers<void>()
  const down = async (): Promise<void> => {
    stop.abort()
    await ended.promise
  }
  const certificates = certificatesOf(run, supervisor)
  const closing: (() => void | Promise<void>)[] = [() => removeRunFile(layout.runDir), () => removeSockets(layout)]
  try {
    const control = await openControl(
      ledger.file().socket,
      controlFor(run, supervisor, certificates, () => ledger.file().state, down),
    )
    closing.push(control.close, upkeep(run, certificates))
    await refuseTakenPorts(specs)
    refuseInotifyShortage(specs)
    await certificates.prepare()
    await supervisor.start(stop.signal)
    if (!stop.signal.aborted) {
      ledger.write({ state: 'ready' })
      report({ kind: 'ready', urls: ledger.file().urls })
      await aborted(stop.signal)
    }
  } catch (error) {
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  }
  const wasReady = ledger.file().state === 'ready'
  ledger.write({ state: 'stopping' })
  await supervisor.stopAll()
  ended.resolve()
  for (const close of closing.reverse()) await close()
  return wasReady
}

/**
 * The run's file, kept up to date; null when another run has claimed the folder. What cannot be written, as on a full
 * disk, is said and tried again with the next change: the run and its end are worth more than the file.
 */
function openLedger(run: SupervisedRun, say: (text: string) => void) {
  let file = firstFile(run)
  let isWritten = true
  if (!claimRunFile(run.layout.runDir, file)) return null
  return {
    file: () => file,
    write(change: Partial<RunFile>): void {
      const next = { ...file, ...change }
      if (isWritten && isDeepStrictEqual(next, file)) return
      file = next
      try {
        writeRunFile(run.layout.runDir, file)
        isWritten = true
      } catch (error) {
        isWritten = false
        say(`The run's file cannot be written, and tells less than is so: ${error}`)
      }
    },
  }
}

/** Bounds the logs and renews certificates, until the function that it gives back is called. */
function upkeep(run: SupervisedRun, certificates: Certificates): () => void {
  const timers = [
    setInterval(() => rotateLogs(run.specs, run.layout.logsDir), logsEveryMs),
    setInterval(() => void certificates.renew(), certificatesEveryMs),
  ]
  return () => timers.forEach(clearInterval)
}

/** The folder of the sockets is looked at before every start: it may have been cleared away meanwhile, and made by another. */
function withOwnSockets(specs: readonly ProcessSpec[], socketsDir: string): ProcessSpec[] {
  return specs.map((spec) => ({
    ...spec,
    async prepare() {
      makeOwnFolder(socketsDir)
      await spec.prepare?.()
    },
  }))
}

function removeSockets({ socketsDir }: { readonly socketsDir: string }): void {
  rmSync(socketsDir, { recursive: true, force: true })
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
  certificates: Certificates,
  state: () => RunFile['state'],
  down: () => Promise<void>,
): Control {
  return {
    status: () => statusNow(run, supervisor, state()),
    start: (name) => supervisor.startOne(name),
    stop: (name) => supervisor.stopOne(name),
    restart: (name, applicationOnly) => supervisor.restartOne(name, applicationOnly),
    rotate: certificates.rotate,
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

function refuseInotifyShortage(specs: readonly ProcessSpec[]): void {
  const shortage = inotifyShortage(specs.reduce((sum, { inotifyInstances = 0 }) => sum + inotifyInstances, 0))
  if (shortage !== null) throw new RunFailure(shortage)
}

function rotateLogs(specs: readonly ProcessSpec[], logsDir: string): void {
  for (const file of [...specs.map((spec) => spec.logFile), join(logsDir, 'supervisor.log')]) rotate(file)
}

type Certificates = ReturnType<typeof certificatesOf>

/** The work on certificates, one after the other: two at a time would drop an authority that the other still counts on. */
function certificatesOf(run: SupervisedRun, supervisor: Supervisor) {
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = last.then(work)
    // Whoever asked is told of a failure; the next in turn goes on.
    last = done.catch(() => {})
    return done
  }
  const settle = (): Promise<void> => takeUp(supervisor)
  return {
    prepare: () => inTurn(() => run.prepare()),
    renew: () => inTurn(() => run.renew(settle)),
    rotate: (authority: boolean) => inTurn(() => run.rotate(authority, settle)),
  }
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
