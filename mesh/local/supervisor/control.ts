import { chmodSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { RunFailure } from './failure.ts'
import type { RunStatus } from './status.ts'
import { UnknownProcess } from './supervisor.ts'

/** What a run may be asked. */
export type Control = {
  status(): RunStatus
  start(name: string): Promise<void>
  stop(name: string): Promise<void>
  restart(name: string, applicationOnly: boolean): Promise<void>
  /** Issues every certificate anew; with `authority` the authority too. */
  rotate(authority: boolean): Promise<void>
  /** Resolves when everything has ended but the supervisor itself. */
  down(): Promise<void>
}

/**
 * Serves a run's control on a socket that only this user may open: `GET /status`; `POST /start/NAME`, `/stop/NAME`,
 * `/restart/NAME[?applicationOnly]`, `/rotate[?authority]`, `/down`. An answer comes when it is done; 404 is an unknown
 * name, 409 a failure of the run, each with a `message`.
 */
export async function openControl(socket: string, control: Control): Promise<{ close(): Promise<void> }> {
  const silent = new Set<Socket>()
  const server = createServer((incoming, response) => {
    silent.delete(incoming.socket)
    answer(incoming, control).then(
      (body) => reply(response, 200, body),
      (error: unknown) => reply(response, statusOf(error), { message: messageOf(error) }),
    )
  })
  server.on('connection', (socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  // Who claimed the run owns its sockets: one that lies there is a leftover.
  rmSync(socket, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socket, resolve)
  })
  chmodSync(socket, 0o600)
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        // Whoever asked something is answered. Who connected and says nothing would keep the run from its end for ever.
        for (const socket of silent) socket.destroy()
      }),
  }
}

/** A client of a run's control. Every function throws UnknownProcess or RunFailure as the run says. */
export function controlOf(socket: string): {
  [K in keyof Control]: (...args: Parameters<Control[K]>) => Promise<Awaited<ReturnType<Control[K]>>>
} {
  const post = async (path: string): Promise<void> => void (await ask(socket, 'POST', path))
  return {
    status: async () => (await ask(socket, 'GET', '/status')) as RunStatus,
    start: (name) => post(`/start/${encodeURIComponent(name)}`),
    stop: (name) => post(`/stop/${encodeURIComponent(name)}`),
    restart: (name, applicationOnly) =>
      post(`/restart/${encodeURIComponent(name)}${applicationOnly ? '?applicationOnly' : ''}`),
    rotate: (authority) => post(`/rotate${authority ? '?authority' : ''}`),
    down: () => post('/down'),
  }
}

async function answer(incoming: IncomingMessage, control: Control): Promise<unknown> {
  const url = new URL(incoming.url ?? '/', 'http://run')
  const [, verb = '', name = ''] = url.pathname.split('/').map(decodeURIComponent)
  const { searchParams } = url
  switch (`${incoming.method} ${verb}`) {
    case 'GET status':
      return control.status()
    case 'POST start':
      return control.start(name)
    case 'POST stop':
      return control.stop(name)
    case 'POST restart':
      return control.restart(name, searchParams.has('applicationOnly'))
    case 'POST rotate':
      return control.rotate(searchParams.has('authority'))
    case 'POST down':
      return control.down()
    default:
      throw new UnknownProcess(`A run cannot be asked ${incoming.method} ${url.pathname}.`)
  }
}

function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
        if (response.statusCode === 200) resolve(body)
        else reject(errorOf(response.statusCode, String(body.message)))
      })
    })
    outgoing.on('error', (error) =>
      reject(new RunFailure(`The run does not answer on ${socketPath}: ${error.message}.`, { cause: error })),
    )
    outgoing.end()
  })
}

function errorOf(status: number | undefined, message: string): Error {
  return status === 404 ? new UnknownProcess(message) : new RunFailure(message)
}

function statusOf(error: unknown): number {
  if (error instanceof UnknownProcess) return 404
  return error instanceof RunFailure ? 409 : 500
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify(body ?? {}))
}
