import { Duplex, PassThrough } from 'node:stream'
import { type KubeConfig, PortForward } from '@kubernetes/client-node'
import { exchange } from '#mesh/admin/exchange.ts'

/** One pod, by its name. */
export type Pod = { readonly namespace: string; readonly name: string }

/** What a pod is asked from inside of it. */
export type InsideRequest = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
}

/** What it answered, whatever the status. */
export type InsideAnswer = { readonly status: number; readonly text: string }

/**
 * Asks a pod by a forwarded port, so that it sees a request from its own localhost. Throws where forwarding is refused, nobody
 * listens there, or the answer is not whole within the time.
 */
export async function requestInside(
  config: KubeConfig,
  pod: Pod,
  port: number,
  { method, path, body }: InsideRequest,
  timeoutMs: number,
): Promise<InsideAnswer> {
  const output = new PassThrough()
  const input = new PassThrough()
  const trouble = new PassThrough()
  const stream = Duplex.from({ readable: output, writable: input })
  const time = AbortSignal.timeout(timeoutMs)
  const failed = new Promise<never>((_resolve, reject) => {
    stream.on('error', reject)
    trouble.on('data', (said: Buffer) => {
      if (said.length > 0) reject(new Error(said.toString('utf8').trim()))
    })
    time.addEventListener('abort', () => reject(time.reason))
  })
  const over = new AbortController()
  const forward = new PortForward(whileNot(over.signal, config))
  const opening = forward.portForward(pod.namespace, pod.name, [port], output, trouble, input)
  try {
    const socket = socketOf(await Promise.race([opening, failed]))
    if (socket) socket.onclose = () => output.end()
    const payload = body === undefined ? undefined : JSON.stringify(body)
    return await Promise.race([exchange({ method, path, createConnection: () => stream }, payload), failed])
  } finally {
    // A server may never answer: neither the request to open, nor the word that an open one ends.
    over.abort()
    opening.then((opened) => socketOf(opened)?.terminate()).catch(() => {})
    stream.destroy()
  }
}

/** The text of a pod's answer to a GET; null for anything but a 200 within the time. */
export async function askInside(
  config: KubeConfig,
  pod: Pod,
  port: number,
  path: string,
  timeoutMs: number,
): Promise<string | null> {
  try {
    const { status, text } = await requestInside(config, pod, port, { method: 'GET', path }, timeoutMs)
    return status === 200 ? text : null
  } catch {
    // Forwarding is a right of its own, and a pod may be gone: then it is not known.
    return null
  }
}

/** The same config, whose requests end with a signal: the library itself waits without an end for a socket to open. */
function whileNot(over: AbortSignal, config: KubeConfig): KubeConfig {
  const ending: KubeConfig = Object.create(config)
  ending.applyToHTTPSOptions = async (options) => {
    await config.applyToHTTPSOptions(options)
    Object.assign(options, { signal: over })
  }
  return ending
}

type Opened = Awaited<ReturnType<PortForward['portForward']>>

function socketOf(opened: Opened) {
  return typeof opened === 'function' ? opened() : opened
}
