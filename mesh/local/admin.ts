import { existsSync, readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'

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

/** One way to ask the admin address that listens on a Unix socket. */
function askSocket(socketPath: string): AskAdmin {
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const headers = { host: 'localhost', ...(method === 'POST' && { 'content-type': 'application/json' }) }
      const asked = request({ socketPath, method, path, headers, agent: false }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: readBody(Buffer.concat(chunks).toString('utf8')) })
        })
      })
      asked.on('error', reject)
      asked.end(method === 'POST' ? JSON.stringify(body ?? {}) : undefined)
    })
}

function readBody(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null) return { ...parsed }
  } catch {
    // Whatever it is, it is shown.
  }
  return { message: text }
}
