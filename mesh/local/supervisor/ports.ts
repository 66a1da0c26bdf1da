import { readdirSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Endpoint } from '../layout.ts'
import { commandLine, pids, read } from './proc.ts'

/** An endpoint that a process of the run needs and cannot have. */
export type TakenPort = { readonly endpoint: Endpoint; readonly by: string; readonly sentence: string }

/**
 * The endpoints that somebody else listens on, each as a sentence that names them:
 * `Port 8080 of 127.0.0.1, for gateway.sidecar, is taken by pid 123 (python3 -m http.server 8080).`
 */
export async function takenPorts(
  processes: readonly { readonly name: string; readonly listens: readonly Endpoint[] }[],
): Promise<TakenPort[]> {
  const wanted = processes.flatMap(({ name, listens }) => listens.map((endpoint) => ({ name, endpoint })))
  const failures = await Promise.all(wanted.map(async (want) => ({ ...want, code: await bindFailure(want.endpoint) })))
  return failures.flatMap(({ name, endpoint, code }) => (code === null ? [] : [describe(name, endpoint, code)]))
}

function describe(name: string, endpoint: Endpoint, code: string): TakenPort {
  const place = `Port ${endpoint.port} of ${endpoint.address}, for ${name},`
  if (code !== 'EADDRINUSE') return { endpoint, by: code, sentence: `${place} cannot be used: ${code}.` }
  const by = holderOf(endpoint)
  return { endpoint, by, sentence: `${place} is taken by ${by}.` }
}

function bindFailure({ address, port }: Endpoint): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

function holderOf(endpoint: Endpoint): string {
  const inodes = listenersOn(endpoint)
  const pid = pids().find((candidate) => holdsOneOf(candidate, inodes))
  return pid === undefined ? "another user's process" : `pid ${pid} (${commandLine(pid)})`
}

/** The sockets that listen on this endpoint, or on its port of every address. */
function listenersOn({ address, port }: Endpoint): Set<string> {
  const inodes = new Set<string>()
  for (const row of `${read('/proc/net/tcp') ?? ''}\n${read('/proc/net/tcp6') ?? ''}`.split('\n')) {
    const [, local = '', , state, , , , , , inode] = row.trim().split(/\s+/)
    const [host = '', hexPort = ''] = local.split(':')
    if (state !== '0A' || inode === undefined || Number.parseInt(hexPort, 16) !== port) continue
    if (host === hexAddress(address) || /^0+$/.test(host)) inodes.add(`socket:[${inode}]`)
  }
  return inodes
}

/** An address as /proc/net/tcp writes it: four bytes, the last one first. */
function hexAddress(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))
  return bytes.reverse().join('').toUpperCase()
}

function holdsOneOf(pid: number, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(linkOf(`/proc/${pid}/fd/${fd}`)))
  } catch {
    // The process ended, or is another user's.
    return false
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
