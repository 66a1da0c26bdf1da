import { readFileSync } from 'node:fs'
import { type ClientHttp2Session, constants } from 'node:http2'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { CertFiles, Endpoint } from '#local/layout.ts'
import type { MethodRef } from '#plan/plan.ts'
import { http2Session } from '../http2-session.ts'

/** What the callee's side of the mesh said to an attempt: `unknown` where it acts as if there were no such gRPC method. */
export type Verdict = 'allowed' | 'denied' | 'unknown' | 'no connection'

/** How a method is spoken to. */
export type Wire = 'http' | 'grpc' | 'grpc-web'

const timeoutMs = 5_000
/** A refusal comes at once; a stream that is let in may have nothing to say for long. */
const silentMs = 1_000
const grpcPermissionDenied = '7'
const grpcUnimplemented = '12'
const contentTypes = { http: undefined, grpc: 'application/grpc', 'grpc-web': 'application/grpc-web+proto' } as const

/** Calls a method straight at the callee's sidecar, past the caller's own: so it is the callee that decides. */
export async function attempt(
  callee: Endpoint,
  identity: ConnectionOptions | null,
  wire: Wire,
  method: MethodRef,
): Promise<Verdict> {
  const { session, close } = http2Session(callee, identity)
  try {
    return await ask(session, wire, method)
  } catch {
    return 'no connection'
  } finally {
    close()
  }
}

/** The certificate of one identity of a run. */
export function identityOf(files: CertFiles): ConnectionOptions {
  return { cert: readFileSync(files.cert), key: readFileSync(files.key), ca: readFileSync(files.authority) }
}

/** Whether a TLS client is let in at all: with TLS 1.3 a refused certificate shows only once something is read. */
export async function letsIn({ address, port }: Endpoint, identity: ConnectionOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: address, port, ...identity, ALPNProtocols: ['h2'], rejectUnauthorized: false })
    const end = (allowed: boolean) => {
      socket.destroy()
      resolve(allowed)
    }
    // An HTTP/2 server answers the client's preface and empty settings with its own, once it has accepted the client.
    socket.once('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'))
    socket.once('data', () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.setTimeout(timeoutMs, () => end(false))
  })
}

function ask(session: ClientHttp2Session, wire: Wire, { verb, path, streaming }: MethodRef): Promise<Verdict> {
  const contentType = contentTypes[wire]
  return new Promise((resolve, reject) => {
    session.once('error', reject)
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: verb,
      [constants.HTTP2_HEADER_PATH]: path.replaceAll(/\{[^}]+\}/g, 'x'),
      ...(contentType && { 'content-type': contentType, te: 'trailers' }),
    })
    let status = ''
    let grpcStatus = ''
    const note = (headers: Record<string, unknown>) => {
      status = String(headers[':status'] ?? status)
      grpcStatus = String(headers['grpc-status'] ?? grpcStatus)
    }
    stream.once('response', note)
    stream.once('trailers', note)
    stream.once('error', reject)
    stream.once('close', () => {
      if (status === '') return reject(new Error('closed without an answer'))
      if (grpcStatus === grpcUnimplemented) return resolve('unknown')
      resolve(status === '403' || grpcStatus === grpcPermissionDenied ? 'denied' : 'allowed')
    })
    if (streaming) session.once('connect', () => stream.setTimeout(silentMs, () => resolve('allowed')))
    else stream.setTimeout(timeoutMs, () => reject(new Error('no answer')))
    stream.resume()
    // An empty message: whoever may ask is told that it is wrong, which is an answer.
    stream.end(contentType ? Buffer.alloc(5) : undefined)
  })
}
