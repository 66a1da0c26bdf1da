import { request } from 'node:http'
import { connect } from 'node:net'

/** The status of a GET over a Unix socket; null when nobody listens on it, or nobody answers before the signal. */
export function statusOnSocket(socketPath: string, path: string, signal: AbortSignal): Promise<number | null> {
  return new Promise((resolve) => {
    const get = request({ socketPath, path, signal, agent: false, headers: { host: 'localhost' } }, (response) => {
      response.resume()
      resolve(response.statusCode ?? null)
    })
    get.on('error', () => resolve(null))
    get.end()
  })
}

/** Whether somebody accepts a connection: on a Unix socket, or at an address and port. */
export function accepts(
  target: { readonly path: string } | { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    // A signal that has aborted tells nobody again.
    if (signal.aborted) return resolve(false)
    const socket = connect(target)
    const end = (accepted: boolean) => (): void => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(accepted)
    }
    const abort = end(false)
    signal.addEventListener('abort', abort, { once: true })
    socket.once('connect', end(true))
    socket.once('error', end(false))
  })
}
