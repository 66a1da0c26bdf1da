import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type AskAdmin, adminAnswer } from '#mesh/admin/ask.ts'
import { exchange } from '#mesh/admin/exchange.ts'
import { RunFailure } from './supervisor/failure.ts'
import type { ProcessStatus } from './supervisor/status.ts'

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

/**
 * The way to ask the service behind an admin socket, as `layoutOf(…).services[name].appAdminSocket` names it. Rejects with a
 * RunFailure where nobody listens, or nobody answers within 10 s.
 */
export function adminOf(socketPath: string): AskAdmin {
  return async (verb, path, body = {}) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const asked = { method: verb, path, signal, createConnection: () => connect(socketPath) }
    try {
      return adminAnswer(await exchange(asked, verb === 'POST' ? JSON.stringify(body) : undefined))
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error)
      throw new RunFailure(`${socketPath} does not answer ${verb} ${path}: ${said}. Is it up? bin/parley status`, {
        cause: error,
      })
    }
  }
}
