/** The supervisor's own process: `main.ts REQUEST`. It reports through descriptor 3 for as long as somebody listens. */
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { performRun, type RunRequest } from '../run.ts'
import type { RunEvent } from './daemon.ts'

const [, , requestFile = ''] = process.argv
const request = JSON.parse(readFileSync(requestFile, 'utf8')) as RunRequest
const stop = new AbortController()
const listener = new Socket({ fd: 3, readable: false, writable: true })
// On a full disk our own log is lost, and nothing else: an unheard error would be written there in turn.
process.stdout.on('error', () => {})
// Whoever started us may be gone; the run goes on.
listener.on('error', () => {})
listener.unref()

process.on('SIGTERM', () => stop.abort())
process.on('SIGINT', () => stop.abort())
process.on('SIGHUP', () => {})
// An error that nobody expected must not leave the run without its keeper: it is written down, and the run goes on.
process.on('uncaughtException', (error) => say(`unexpected: ${error.stack ?? error.message}`))
process.on('unhandledRejection', (reason) => say(`unexpected: ${reason instanceof Error ? reason.stack : reason}`))

say(`starting ${request.plan.system}, pid ${process.pid}`)
const wasReady = await performRun(request, report, stop)
say('ended')
process.exitCode = wasReady ? 0 : 1
listener.end(() => process.exit())

function report(event: RunEvent): void {
  if (!listener.destroyed) listener.write(`${JSON.stringify(event)}\n`)
  say(sentence(event))
}

function sentence(event: RunEvent): string {
  switch (event.kind) {
    case 'process':
      return `${event.name} ${event.state}${event.detail ? `: ${event.detail}` : ''}`
    case 'note':
      return event.text
    case 'ready':
      return 'everything is ready'
    case 'busy':
      return 'another start is under way'
    case 'failed':
      return `failed: ${event.message}`
  }
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`)
}
