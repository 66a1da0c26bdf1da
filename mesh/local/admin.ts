import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { adminCall } from './admin-call.ts'

/** An answer of a service's admin address. */
export type AdminAnswer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

/** Asks one service's admin address. Rejects where nobody answers. */
export type AskAdmin = (
  verb: 'GET' | 'POST',
  path: string,
  body?: Readonly<Record<string, unknown>>,
) => Promise<AdminAnswer>

/** The services of a run that have an admin socket, by name, each with the way to ask it. */
export function adminsOfRun(socketsDir: string): ReadonlyMap<string, AskAdmin> {
  const services = readdirSync(socketsDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(socketsDir, entry.name, 'admin.sock')))
    .map(({ name }) => name)
    .sort()
  return new Map(services.map((name) => [name, askSocket(join(socketsDir, name, 'admin.sock'))]))
}

function askSocket(socketPath: string): AskAdmin {
  return async (verb, path, given) => {
    const { status, body } = await adminCall(socketPath, verb, path, given)
    // Whatever it is, it is shown.
    return { status, body: typeof body === 'object' && body !== null ? { ...body } : { message: String(body) } }
  }
}
