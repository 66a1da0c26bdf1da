/** Both ends of a call, on the wire: applications whose answers a test decides, and callers honest and otherwise. */
import { readFileSync, realpathSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, request } from 'node:http'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import {
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServerUnaryCall,
} from '@grpc/grpc-js'
import type { CertFiles, Endpoint } from '#local/layout.ts'
import { http2Session } from '#test/http2-session.ts'

export const checkStock = '/parley.inventory.v1.InventoryService/CheckStock'
export const createOrder = '/parley.orders.v1.OrderService/CreateOrder'
export const getOrder = '/parley.orders.v1.OrderService/GetOrder'

const raw = (bytes: Buffer): Buffer => bytes

/** How a fake application answers: a gRPC status, or nothing for OK. It may wait first. */
export type Answer = (call: ServerUnaryCall<Buffer, Buffer>) => Promise<number> | number

/** A gRPC application on a socket. `seen` counts the calls that reached it. */
export type FakeApp = { answer: Answer; seen: number; readonly stop: () => void }

/** Starts a gRPC application that answers the given methods. */
export async function fakeGrpc(socket: string, methods: readonly string[]): Promise<FakeApp> {
  const server = new GrpcServer()
  const app: FakeApp = { answer: () => 0, seen: 0, stop: () => server.forceShutdown() }
  for (const method of methods) {
    const handler = async (
      call: ServerUnaryCall<Buffer, Buffer>,
      done: (error: object | null, value?: Buffer) => void,
    ) => {
      app.seen++
      const code = await app.answer(call)
      if (code === 0) done(null, call.request)
      else done({ code, details: `answered ${code}` })
    }
    server.register(method, handler, raw, raw, 'unary')
  }
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  )
  return app
}

/** What a caller got: gRPC's code and message, and how long it took. */
export type Outcome = { readonly code: number; readonly details: string; readonly ms: number }

/** A gRPC caller on a sidecar's outbound socket. It never rejects: an error is an outcome. */
export function grpcCaller(socket: string, authority: string) {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), { 'grpc.default_authority': authority })
  const call = (
    path: string,
    options: { deadlineMs?: number; headers?: Record<string, string> } = {},
  ): Promise<Outcome> => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value)
    const began = performance.now()
    const limits = options.deadlineMs ? { deadline: Date.now() + options.deadlineMs } : {}
    return new Promise((resolve) =>
      client.makeUnaryRequest(path, raw, raw, Buffer.from('ping'), metadata, limits, (error) =>
        resolve({ code: error?.code ?? 0, details: error?.details ?? '', ms: performance.now() - began }),
      ),
    )
  }
  return { call, close: () => client.close() }
}

/** A plain HTTP application or system outside, which echoes what it saw. */
export function fakeHttp(at: string | Endpoint): Promise<Server> {
  const server = createServer((incoming, response) => {
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    incoming.on('end', () =>
      response.end(JSON.stringify({ method: incoming.method, url: incoming.url, headers: incoming.headers, bytes })),
    )
  })
  return new Promise((resolve) => {
    if (typeof at === 'string') server.listen(at, () => resolve(server))
    else server.listen(at.port, at.address, () => resolve(server))
  })
}

/** An HTTP answer. `echo` is what the fake application saw, where it was reached. */
export type HttpAnswer = {
  readonly status: number
  readonly text: string
  readonly headers: IncomingHttpHeaders
  readonly ms: number
}

/** One HTTP/1.1 request, over a socket or TCP. */
export function http(
  at: string | Endpoint,
  line: string,
  options: { headers?: Record<string, string>; body?: string; from?: string } = {},
): Promise<HttpAnswer> {
  const [method, path] = line.split(' ')
  const where = typeof at === 'string' ? { socketPath: at } : { host: at.address, port: at.port }
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const from = options.from === undefined ? {} : { localAddress: options.from }
    request({ ...where, ...from, method, path, headers: { ...options.headers } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers, ms: performance.now() - began }),
      )
    })
      .on('error', reject)
      .end(options.body)
  })
}

/** What somebody shows at an inbound listener: PEM texts, or nothing, or not even TLS. */
export type Papers = { readonly cert: string; readonly key: string } | 'none' | 'plain text'

/** Reads an identity's certificate and key, of one set though another may be moved into place meanwhile. */
export function papersOf(files: CertFiles): { cert: string; key: string } {
  const set = realpathSync(join(dirname(files.cert), '..data'))
  return { cert: readFileSync(join(set, 'cert.pem'), 'utf8'), key: readFileSync(join(set, 'key.pem'), 'utf8') }
}

/**
 * Calls a method at an inbound listener around any sidecar. Gives gRPC's status as a string, or `refused` where no
 * answer came. The server's certificate is not checked: it is the caller that is on trial.
 */
export function knock(at: Endpoint, path: string, papers: Papers): Promise<string> {
  const { session, close } = http2Session(at, papers === 'plain text' ? null : papers === 'none' ? {} : papers)
  return new Promise<string>((resolve) => {
    const refused = () => resolve('refused')
    session.on('error', refused).on('close', refused)
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.on('error', refused)
    const status = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']))
    }
    stream.on('response', status).on('trailers', status).resume()
    stream.end(Buffer.from([0, 0, 0, 0, 0]))
  }).finally(close)
}
