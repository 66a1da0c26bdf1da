import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:tls'
import type { CertFiles, Endpoint } from '../layout.ts'

/** Whether a GET is answered with 200. */
export function answersHttp({ address, port }: Endpoint, path: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const get = request({ host: address, port, path, signal, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    get.on('error', () => resolve(false))
    get.end()
  })
}

/** What a probe over TLS says first, and how it knows the answer. */
export type TlsProbe = {
  readonly greeting: Buffer
  readonly understands: (answer: Buffer) => boolean
  /** Shown to the server where it asks who we are. */
  readonly identity?: CertFiles
  readonly authority: string
}

/** Whether a server, verified by the authority, answers a greeting in its own protocol. */
export async function answersTls({ address, port }: Endpoint, probe: TlsProbe, signal: AbortSignal): Promise<boolean> {
  const { identity } = probe
  const ca = await readFile(probe.authority)
  const shown = identity ? { cert: await readFile(identity.cert), key: await readFile(identity.key) } : {}
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, ca, ...shown }, () => socket.write(probe.greeting))
    const end = (answer: boolean): void => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(answer)
    }
    const abort = (): void => end(false)
    signal.addEventListener('abort', abort, { once: true })
    socket.on('data', (answer) => end(probe.understands(answer)))
    socket.on('error', () => end(false))
    socket.on('close', () => end(false))
  })
}
