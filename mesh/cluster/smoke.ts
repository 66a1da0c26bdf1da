import { randomBytes } from 'node:crypto'
import { request as httpsRequest } from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Plan } from '#plan/plan.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'

/** Where the order is placed. */
export type SmokeTarget = {
  /** The edge's URL of the exposure. */
  readonly url: string
  /** Where its port is on this machine, whatever its host name resolves to. */
  readonly address: string
  readonly port: number
  /** Who signed the edge's certificate; null takes the authorities that Node knows. */
  readonly authority: string | null
  readonly signal?: AbortSignal
  readonly say: (text: string) => void
}

/** The order that came through: its number, and the trace of its way. */
export type Smoke = { readonly orderId: string; readonly tookMs: number; readonly traceId: string }

const place = { verb: 'POST', path: '/api/{version}/orders' } as const
const show = { verb: 'GET', path: '/api/{version}/orders/{id}' } as const
const ordersPath = '/api/v2/orders'
const patienceMs = 120_000
const pollMs = 500

/** The exposure that takes the shop's orders; null for a system that has none, where there is nothing to prove by an order. */
export function orderExposure({ exposures }: Plan): Plan['exposures'][number] | null {
  const has = (
    methods: Plan['exposures'][number]['methods'],
    { verb, path }: { verb: string; path: string },
  ): boolean => methods.some((method) => method.verb === verb && method.path === path)
  return exposures.find(({ methods }) => has(methods, place) && has(methods, show)) ?? null
}

/** The authority of the edge's certificate, as cert-manager wrote it; null where a known one signed it. */
export async function edgeAuthority(connection: Connection, namespace: string, secret: string): Promise<string | null> {
  const { status, body } = await connection.request({
    method: 'GET',
    path: `/api/v1/namespaces/${namespace}/secrets/${secret}`,
  })
  if (status !== 200) return null
  const { data = {} } = body as { readonly data?: Readonly<Record<string, string>> }
  const encoded = data['ca.crt']
  return encoded ? Buffer.from(encoded, 'base64').toString('utf8') : null
}

/**
 * Places an order through the edge, as a client would, and follows it until it is shipped: through the mesh, Kafka, Postgres and back.
 * A first answer may take a moment, because the edge learns of new pods by and by.
 * @throws ClusterError SMOKE with the last answer; INTERRUPTED
 */
export async function placeSmokeOrder(target: SmokeTarget): Promise<Smoke> {
  const beganMs = performance.now()
  const traceId = randomBytes(16).toString('hex')
  const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`
  const key = `smoke-${traceId}`
  const body = JSON.stringify({ customerId: 'smoke', lines: [{ productId: 'p-1', quantity: 1 }] })
  const headers = { 'content-type': 'application/json', 'idempotency-key': key, traceparent }
  const orderId = await poll(
    target,
    beganMs,
    'was not accepted',
    async () => {
      // The same key each time: however often it is sent, it is one order.
      const answer = await ask(target, place.verb, ordersPath, headers, body)
      return answer.status === 201
        ? String(JSON.parse(answer.text).orderId)
        : `${answer.status} ${answer.text}`.slice(0, 300)
    },
    // A status, or 0 where nobody answered, is no order's number.
    (said) => !/^\d+ /.test(said),
  )
  target.say(`Order ${orderId} is accepted; waiting until it is shipped`)
  await poll(
    target,
    beganMs,
    `(${orderId}) was not shipped`,
    async () => {
      const answer = await ask(target, show.verb, `${ordersPath}/${orderId}`, {})
      return answer.status === 200
        ? String(JSON.parse(answer.text).state?.name)
        : `${answer.status} ${answer.text}`.slice(0, 300)
    },
    (said) => said === 'shipped',
  )
  return { orderId, tookMs: performance.now() - beganMs, traceId }
}

async function poll(
  { signal, url }: SmokeTarget,
  beganMs: number,
  lack: string,
  once: () => Promise<string>,
  enough: (said: string) => boolean,
): Promise<string> {
  for (;;) {
    const said = await once().catch((error: Error) => `0 ${error.message}`)
    if (signal?.aborted) throw new ClusterError('INTERRUPTED', 'Interrupted during the smoke order.')
    if (enough(said)) return said
    if (performance.now() - beganMs > patienceMs) {
      throw new ClusterError(
        'SMOKE',
        `The smoke order at ${url} ${lack} within ${patienceMs / 1000} s. Its last answer: ${said}\nEverything is ready as such; look at the trace and the logs (kubectl logs), then run it again.`,
      )
    }
    await sleep(pollMs)
  }
}

function ask(
  { url, address, port, authority, signal }: SmokeTarget,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const { host, hostname } = new URL(url)
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: address,
        port,
        method,
        path,
        servername: hostname,
        headers: { ...headers, host },
        timeout: 10_000,
        ...(authority && { ca: authority }),
        ...(signal && { signal }),
      },
      (answer) => {
        // An answer may be cut in its middle, which the request itself is not told of.
        textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 0, text }), reject)
      },
    )
    request.on('timeout', () => request.destroy(new Error('no answer within 10 s')))
    request.on('error', reject)
    request.end(body)
  })
}
