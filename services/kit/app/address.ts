import { chmodSync, existsSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'

/** Where something listens: a Unix socket file, or a host and a port. */
export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** A socket's path may hold 107 bytes on Linux. */
const socketPathBytesMax = 107

/** Reads `unix:/absolute/path`, `tcp:host:port` or `host:port`. Gives the reason as a string where it is none of them. */
export function parseAddress(text: string): Address | string {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    if (!path.startsWith('/')) return 'the path after "unix:" is not absolute'
    const bytes = Buffer.byteLength(path)
    if (bytes > socketPathBytesMax) return `the socket's path has ${bytes} bytes; ${socketPathBytesMax} are possible`
    return { kind: 'unix', path }
  }
  const match = /^(?:tcp:)?(?:\[([0-9a-fA-F:]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined) return 'it is neither "unix:/path" nor "host:port"'
  if (port > 65_535) return `${port} is no port`
  return { kind: 'tcp', host, port }
}

/** The address as it was written: `unix:/path` or `host:port`. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** What Node's HTTP and socket clients take to connect to an address. */
export function connectOptions(address: Address): { socketPath: string } | { host: string; port: number } {
  return address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }
}

/** What Node's servers take to listen at an address. */
export function listenOptions(address: Address): { path: string } | { host: string; port: number } {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
}

/** Removes the socket file that a killed predecessor left behind, without which nobody could listen there again. */
export function clearSocket(address: Address): void {
  if (address.kind === 'unix' && existsSync(address.path)) rmSync(address.path)
}

/** Leaves a socket to its owner alone. */
export function protectSocket(address: Address): void {
  if (address.kind === 'unix') chmodSync(address.path, 0o600)
}

/** Listens with a plain server; resolves once it accepts connections. */
export async function listen(server: Server, address: Address): Promise<void> {
  clearSocket(address)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listenOptions(address), () => {
      server.off('error', reject)
      resolve()
    })
  })
  protectSocket(address)
}
