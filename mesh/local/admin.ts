import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { RunFailure } from './supervisor/failure.ts'
import type { ProcessStatus } from './supervisor/status.ts'

/** An answer of a service's admin address. What is no JSON object is `{ message }`: whatever it is, it is shown. */
export type AdminAnswer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

/**
 * Asks one service's admin address; `body` is that of a POST. Any status is an answer. Rejects with a RunFailure where nobody
 * listens, or nobody answers within 10 s.
 */
export type AskAdmin = (
  verb: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, unknown>>,
) => Promise<AdminAnswer>

const answerBytesMax = 16 * 1024 * 1024
const timeoutMs = 10_000

/**
 * The services among a run's processes, by name, each with the way to ask it. Stand-ins of what is outside are none of them.
 * One that is ready without an admin socket opens none, as one in another language may; one that is down is in, so that it is missed.
 */
export function adminsOfRun(
  socketsDir: string,
  processes: readonly Pick<ProcessStatus, 'name' | 'kind' | 'state'>[],
): ReadonlyMap<string, AskAdmin> {
  const admins = processes
    .filter(({ kind }) => kind === 'service')
    .map(({ name, state }) => ({ name, state, socket: join(socketsDir, name, 'admin.sock') }))
    .filter(({ state, socket }) => state !== 'ready' || existsSync(socket))
    .sort((a, b) => a.name.localeCompare(b.name))
  return new Map(admins.map(({ name, socket }) => [name, adminOf(socket)]))
}

/** The way to ask the service behind an admin socket, as `layoutOf(…).services[name].appAdminSocket` names it. */
export function adminOf(socketPath: string): AskAdmin {
  return (verb, path, body = {}) =>
    new Promise((resolve, reject) => {
      const fail = (error: Error) =>
        reject(
          new RunFailure(
            `${socketPath} does not answer ${verb} ${path}: ${error.message}. Is it up? bin/parley status`,
            { cause: error },
          ),
        )
      const signal = AbortSignal.timeout(timeoutMs)
      const headers = { host: 'localhost', 'content-type': 'application/json' }
      const outgoing = request({ socketPath, method: verb, path, agent: false, headers, signal }, (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > answerBytesMax) response.destroy(new Error(`the answer has more than ${answerBytesMax} bytes`))
          else chunks.push(chunk)
        })
        response.on('error', fail)
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: objectOf(Buffer.concat(chunks).toString('utf8')) })
        })
      })
      outgoing.on('error', fail)
      outgoing.end(verb === 'POST' ? JSON.stringify(body) : undefined)
    })
}

/** A service in another language may answer in plain text: that is an answer too, and no reason to call it down. */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null) return { ...parsed }
  } catch {
    // It is shown as it is.
  }
  return { message: text.trim() }
}
