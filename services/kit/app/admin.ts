import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Address, listen } from './address.ts'

/** Whether a part can do its work now: undefined when it can, otherwise why not. */
export type ReadinessCheck = () => string | undefined | Promise<string | undefined>

/** What an operator asks of a part: the path is what follows the part's own name. */
export type AdminRequest = {
  readonly method: string
  readonly path: readonly string[]
  readonly query: URLSearchParams
}

/** The answer, as JSON. */
export type AdminAnswer = { readonly status: number; readonly body: object }

/** What a part answers to operators. */
export type AdminRoute = (request: AdminRequest) => Promise<AdminAnswer>

/** What the admin endpoint tells. */
export type AdminSources = {
  /** What parts answer to operators, by the first name of the path. */
  readonly routes?: ReadonlyMap<string, AdminRoute>
  /** Why the process is not ready, by part; empty when it is. */
  readonly notReady: () => Promise<Readonly<Record<string, string>>>
  readonly serveMetrics: (request: IncomingMessage, response: ServerResponse) => void
}

/** A part that listens and can be closed. */
export type Closable = { close(): Promise<void> }

/**
 * Serves `/livez` (200 while the event loop turns), `/readyz` (200, or 503 with reasons), `/metrics` (Prometheus text), and what parts
 * answer to operators. The latter is for whoever is on the machine, or in the pod: it is refused over the network.
 */
export async function openAdmin(address: Address, sources: AdminSources): Promise<Closable> {
  const server = createServer((request, response) => {
    void answer(request, response, sources).catch((thrown: unknown) => reply(response, 500, { error: String(thrown) }))
  })
  await listen(server, address)
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, sources: AdminSources): Promise<void> {
  const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://admin')
  if (path === '/livez') return reply(response, 200, { status: 'live' })
  if (path === '/metrics') return sources.serveMetrics(request, response)
  if (path !== '/readyz') {
    const [name = '', ...rest] = path.slice(1).split('/').map(decodeURIComponent)
    const route = sources.routes?.get(name)
    if (!route) return reply(response, 404, { error: `There is no ${path}; ask /livez, /readyz or /metrics.` })
    if (!isNear(request)) return reply(response, 403, { error: 'Ask from within, such as with kubectl port-forward.' })
    const { status, body } = await route({ method: request.method ?? 'GET', path: rest, query })
    return reply(response, status, body)
  }
  const reasons = await sources.notReady()
  const ready = Object.keys(reasons).length === 0
  reply(response, ready ? 200 : 503, ready ? { status: 'ready' } : { status: 'not ready', reasons })
}

/** Over a Unix socket, which only the user may open, or from the same network namespace. */
function isNear({ socket: { remoteAddress } }: IncomingMessage): boolean {
  return remoteAddress === undefined || ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(remoteAddress)
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
