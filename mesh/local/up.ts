import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { layoutOf } from './layout.ts'
import { fingerprintOf, performRun, type RunRequest, toolNeeds } from './run.ts'
import { controlOf } from './supervisor/control.ts'
import type { RunEvent } from './supervisor/daemon.ts'
import { lastLines } from './supervisor/log.ts'
import { isLive, type RunFile, readRunFile } from './supervisor/run-file.ts'
import { cleanStale } from './supervisor/stale.ts'
import type { RunUrl } from './supervisor/status.ts'
import { ensureToolchain, type ToolProgress } from './toolchain/toolchain.ts'

/** What happens on the way up. */
export type UpEvent =
  | RunEvent
  | ({ readonly kind: 'tool' } & ToolProgress)
  | { readonly kind: 'note'; readonly text: string }

/** How it ended. `already`: it ran before, as it is declared now. */
export type UpOutcome =
  | { readonly kind: 'ready'; readonly urls: readonly RunUrl[] }
  | { readonly kind: 'already'; readonly urls: readonly RunUrl[] }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'interrupted' }
  /** Only in the foreground: it ran and was ended. */
  | { readonly kind: 'ended' }

/** How a run is brought up, and who is told. */
export type UpOptions = {
  readonly report: (event: UpEvent) => void
  /** Ends what has begun, and leaves nothing. */
  readonly interrupt: AbortController
  /** Stays until it is interrupted, instead of leaving the run behind in the background. */
  readonly foreground: boolean
  /** Removes all data first. */
  readonly fresh: boolean
}

/**
 * Brings a run up: cleans up after one whose supervisor died, replaces one that runs by another declaration (its data
 * stays), brings missing tools, starts the supervisor in the background and follows it until everything is ready.
 * @throws ToolchainError
 */
export async function up(request: RunRequest, options: UpOptions): Promise<UpOutcome> {
  const { report, interrupt, foreground, fresh } = options
  const layout = layoutOf(request.plan, request.layout)
  const running = await settle(layout.runDir, request, options)
  if (interrupt.signal.aborted) return { kind: 'interrupted' }
  if (running) return { kind: 'already', urls: running.urls }
  const needs = toolNeeds(request.plan, request.telemetry)
  const tools = ensureToolchain({
    toolsDir: request.toolsDir,
    needs,
    report: (event) => report({ kind: 'tool', ...event }),
  })
  await Promise.race([tools, aborted(interrupt.signal)])
  if (interrupt.signal.aborted) return { kind: 'interrupted' }
  if (fresh) rmSync(layout.dataDir, { recursive: true, force: true })
  mkdirSync(layout.logsDir, { recursive: true, mode: 0o700 })
  writeFileSync(requestFileOf(layout.runDir), JSON.stringify(request, null, 2), { mode: 0o600 })
  const outcome = await (foreground ? stay(request, options) : leave(request, layout, options))
  // Another command was faster; its start is waited for.
  return outcome.kind === 'busy' ? up(request, options) : outcome
}

/** The file in which a run keeps what was asked for: a RunRequest. */
export function requestFileOf(runDir: string): string {
  return join(runDir, 'request.json')
}

/** Ends a run, or cleans up after one that died. Gives back whether it was alive. */
export async function down(runDir: string, file: RunFile): Promise<boolean> {
  if (!isLive(file)) {
    await cleanStale(runDir, file)
    return false
  }
  // The answer comes when everything has ended; a supervisor that is just ending may close before it answers.
  await controlOf(file.socket)
    .down()
    .catch((error: unknown) => {
      if (isLive(file)) throw error
    })
  while (isLive(file)) await sleep(10)
  return true
}

/** Deals with what is in the folder already. A run that is what is wanted is given back. */
async function settle(
  runDir: string,
  request: RunRequest,
  { report, interrupt, fresh }: UpOptions,
): Promise<RunFile | null> {
  const found = readRunFile(runDir)
  if (!found) return null
  if (!isLive(found)) {
    const names = await cleanStale(runDir, found)
    const ended = names.length > 0 ? ` Ended what it left: ${names.join(', ')}.` : ''
    report({ kind: 'note', text: `The last run's supervisor (pid ${found.pid}) died without cleaning up.${ended}` })
    return null
  }
  const settled = await whileItMoves(runDir, found, report, interrupt.signal)
  if (interrupt.signal.aborted) return null
  if (!settled || !isLive(settled)) return settle(runDir, request, { report, interrupt, fresh, foreground: false })
  if (settled.fingerprint === fingerprintOf(request) && !fresh) return settled
  const why = fresh ? 'It runs already' : 'The declaration or an option changed since it was started'
  report({ kind: 'note', text: `${why}: stopping it first${fresh ? '' : ', its data stays'}.` })
  await down(runDir, settled)
  return null
}

async function whileItMoves(
  runDir: string,
  found: RunFile,
  report: UpOptions['report'],
  interrupt: AbortSignal,
): Promise<RunFile | null> {
  if (found.state === 'ready') return found
  report({ kind: 'note', text: `Another command has it ${found.state} (pid ${found.pid}); waiting for it.` })
  for (;;) {
    const now = readRunFile(runDir)
    if (!now || !isLive(now) || now.state === 'ready' || interrupt.aborted) return now
    await sleep(50)
  }
}

type Outcome = UpOutcome | { readonly kind: 'busy' }

async function stay(request: RunRequest, { report, interrupt }: UpOptions): Promise<Outcome> {
  const over: Outcome[] = []
  const keep = (event: RunEvent): void => {
    if (event.kind === 'failed' || event.kind === 'busy') over.push(event)
    else report(event)
  }
  const wasReady = await performRun(request, keep, interrupt)
  return over[0] ?? { kind: wasReady ? 'ended' : 'interrupted' }
}

/** Starts the supervisor on its own, in a session of its own, and follows what it reports through a pipe. */
async function leave(
  request: RunRequest,
  { runDir, logsDir }: { runDir: string; logsDir: string },
  { report, interrupt }: UpOptions,
): Promise<Outcome> {
  const requestFile = requestFileOf(runDir)
  const logFile = join(logsDir, 'supervisor.log')
  const log = openSync(logFile, 'a', 0o600)
  const main = fileURLToPath(new URL('supervisor/main.ts', import.meta.url))
  const daemon = spawn(process.execPath, [...daemonFlags, main, requestFile], {
    cwd: request.rootDir,
    env: { PATH: request.path, HOME: request.home, LANG: 'C.UTF-8', NODE_COMPILE_CACHE: request.compileCacheDir },
    stdio: ['ignore', log, log, 'pipe'],
    detached: true,
  })
  closeSync(log)
  const exited = new Promise<void>((resolve) => daemon.once('exit', () => resolve()))
  const stop = (): void => void daemon.kill('SIGTERM')
  interrupt.signal.addEventListener('abort', stop, { once: true })
  const outcome = await follow(daemon.stdio[3] as Readable, report)
  interrupt.signal.removeEventListener('abort', stop)
  if (outcome?.kind === 'ready') {
    daemon.unref()
    return outcome
  }
  await exited
  if (interrupt.signal.aborted) return { kind: 'interrupted' }
  const tail = lastLines(logFile, 10).join('\n')
  return (
    outcome ?? {
      kind: 'failed',
      message: `The supervisor ended before the system was ready.\n${tail}\nIts log: ${logFile}`,
    }
  )
}

/** The supervisor holds little: it is a handful of timers. */
const daemonFlags = ['--max-semi-space-size=1', '--max-old-space-size=128'] as const

async function follow(pipe: Readable, report: UpOptions['report']): Promise<Outcome | null> {
  for await (const line of createInterface({ input: pipe })) {
    const event = JSON.parse(line) as RunEvent
    switch (event.kind) {
      case 'process':
      case 'note':
        report(event)
        break
      case 'ready':
        pipe.destroy()
        return { kind: 'ready', urls: event.urls }
      case 'busy':
      case 'failed':
        return event
    }
  }
  return null
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
