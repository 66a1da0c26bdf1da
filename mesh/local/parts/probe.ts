import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, type TLSSocket } from 'node:tls'
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

/** A certificate with its key, and the authorities that its holder trusts: PEM, as Node's TLS takes it. */
export type TlsIdentity = { readonly cert: string; readonly key: string; readonly ca: string }

export async function readIdentity(files: CertFiles): Promise<TlsIdentity> {
  const [cert, key, ca] = await Promise.all(
    [files.cert, files.key, files.authority].map((file) => readFile(file, 'utf8')),
  )
  return { cert: cert ?? '', key: key ?? '', ca: ca ?? '' }
}

/** Whether a server, verified by our authorities, answers a greeting in its own protocol. */
export async function answersTls(
  at: Endpoint,
  tls: Partial<TlsIdentity>,
  greeting: Buffer,
  understands: (answer: Buffer) => boolean,
  signal: AbortSignal,
): Promise<boolean> {
  return overTls(at, tls, signal, (socket, end) => {
    socket.on('data', (answer) => end(understands(answer)))
    socket.write(greeting)
  })
}

/** Whether a server shows this certificate (PEM). */
export async function showsCertificate(
  at: Endpoint,
  tls: Partial<TlsIdentity>,
  cert: string,
  signal: AbortSignal,
): Promise<boolean> {
  const wanted = new X509Certificate(cert).fingerprint256
  return overTls(at, tls, signal, (socket, end) => end(socket.getPeerX509Certificate()?.fingerprint256 === wanted))
}

/** Connects, lets `use` find the answer, and answers false where the connection fails or the signal aborts. */
function overTls(
  { address, port }: Endpoint,
  tls: Partial<TlsIdentity>,
  signal: AbortSignal,
  use: (socket: TLSSocket, end: (answer: boolean) => void) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    // A signal that has aborted tells nobody again, and a server may hold its answer back for ever.
    if (signal.aborted) return resolve(false)
    const socket = connect({ host: address, port, ...tls }, () => use(socket, end))
    const end = (answer: boolean): void => {
      signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(answer)
    }
    const abort = (): void => end(false)
    signal.addEventListener('abort', abort, { once: true })
    socket.on('error', abort)
    socket.on('close', abort)
  })
}
