import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Address, listen } from './address.ts'
import { answerOperation, type Offer } from './operations.ts'

/** Whether a part can do its work now: undefined when it can, otherwise why not. */
export type ReadinessCheck = () => string | undefined | Promise<string | undefined>

/** What the admin endpoint tells. */
export type AdminSources = {
  /** Why the process is not ready, by part; empty when it is. */
  readonly notReady: () => Promise<Readonly<Record<string, string>>>
  readonly serveMetrics: (request: IncomingMessage, response: ServerResponse) => void
  /** What operators may ask for beside that, by the first part of the path. */
  readonly operations?: ReadonlyMap<string, Offer>
}

/** A part that listens and can be closed. */
export type Closable = { close(): Promise<void> }

/**
 * Serves `/livez` (200 while the event loop turns), `/readyz` (200, or 503 with reasons), `/metrics` (Prometheus text), and
 * operations, such as `/dead-letters`; `/operations` lists them.
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
  const path = request.url?.split('?')[0]
  if (path === '/livez') return reply(response, 200, { status: 'live' })
  if (path === '/metrics') return sources.serveMetrics(request, response)
  if (path !== '/readyz') {
    if (sources.operations && (await answerOperation(sources.operations, request, response))) return
    const known = [
      '/livez',
      '/readyz',
      '/metrics',
      ...[...(sources.operations?.keys() ?? [])].map((name) => `/${name}`),
    ]
    return reply(response, 404, { error: `There is no ${path}; ask one of ${known.join(', ')}.` })
  }
  const reasons = await sources.notReady()
  const ready = Object.keys(reasons).length === 0
  reply(response, ready ? 200 : 503, ready ? { status: 'ready' } : { status: 'not ready', reasons })
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
