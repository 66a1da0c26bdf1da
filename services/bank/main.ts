/**
 * The bank's stand-in: an HTTP system outside that charges and refunds, may take 3 s, and forgets when it is stopped.
 * `card-declined…` is refused, `card-slow…` takes 3 s, `card-lost…` charges and then breaks the connection once, so that
 * the caller cannot know.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '#kit/app/address.ts'
import { announceReady, readStandIn } from '#kit/app/stand-in.ts'
import { type Amount, createLedger, latencyMs } from './ledger.ts'

const bodyBytesMax = 16 * 1024
const statusCodes = { captured: 200, declined: 402, refunded: 409 } as const
const ledger = createLedger()
const lostOnce = new Set<string>()

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => send(response, 500, { title: String(error) }))
})

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, resource = '', id = ''] = (request.url ?? '').split('/')
  if (request.method === 'GET' && resource === 'charges') return send(response, 200, ledger.list())
  if (request.method !== 'PUT' || id === '')
    return send(response, 404, { title: 'PUT /charges/{id} or PUT /refunds/{id}' })
  if (resource === 'charges') return charge(id, await readBody(request), response)
  if (resource !== 'refunds') return send(response, 404, { title: 'PUT /charges/{id} or PUT /refunds/{id}' })
  send(response, 200, ledger.refund(id))
}

async function charge(id: string, body: unknown, response: ServerResponse): Promise<void> {
  if (!isChargeRequest(body))
    return send(response, 400, { title: 'A charge is { amount: { currency, minorUnits }, method }' })
  await sleep(latencyMs(body.method, Math.random()))
  const decided = ledger.charge(id, body.amount, body.method)
  if (body.method.startsWith('card-lost') && !lostOnce.has(id)) {
    lostOnce.add(id)
    response.destroy()
    return
  }
  send(response, statusCodes[decided.status], decided)
}

function isChargeRequest(body: unknown): body is { amount: Amount; method: string } {
  const { amount, method } = (body ?? {}) as { amount?: Partial<Amount>; method?: unknown }
  return typeof method === 'string' && typeof amount?.currency === 'string' && Number.isSafeInteger(amount.minorUnits)
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > bodyBytesMax) return null
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return null
  }
}

function send(response: ServerResponse, status: number, document: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document))
}

await listen(server, readStandIn().listen)
await announceReady()
process.once('SIGTERM', () => server.close(() => process.exit(0)).closeAllConnections())
