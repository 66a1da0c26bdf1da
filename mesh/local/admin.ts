import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { adminCall } from './admin-call.ts'
import type { ProcessStatus } from './supervisor/status.ts'

/** An answer of a service's admin address. */
export type AdminAnswer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

/** Asks one service's admin address. Rejects with a RunFailure where nobody answers. */
export type AskAdmin = (
  verb: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, unknown>>,
) => Promise<AdminAnswer>

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
  return new Map(admins.map(({ name, socket }) => [name, askSocket(socket)]))
}

function askSocket(socketPath: string): AskAdmin {
  return async (verb, path, given) => {
    const { status, body } = await adminCall(socketPath, verb, path, given)
    // Whatever it is, it is shown.
    return { status, body: typeof body === 'object' && body !== null ? { ...body } : { message: String(body) } }
  }
}
