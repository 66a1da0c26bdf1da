import http from 'node:http'
import https from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { KubeConfig } from '@kubernetes/client-node'
import { ClusterError, WrongContext } from './failure.ts'
import { askInside, type InsideAnswer, type InsideRequest, type Pod, requestInside } from './inside.ts'

/** A request to the API server. `path` begins with `/api` or `/apis` and carries its query. */
export type ApiRequest = {
  readonly method: 'GET' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
  /** `application/json` when it is absent. */
  readonly accept?: string
}

/** What the API server answered. `body` is parsed JSON where it is some, and text otherwise. */
export type ApiResponse = { readonly status: number; readonly body: unknown }

/** A cluster that a kubeconfig leads to. Every request is one that may be repeated, and is, when the server is busy or gone for a moment. */
export type Connection = {
  readonly context: string
  readonly server: string
  request(request: ApiRequest): Promise<ApiResponse>
  /** The answer of a pod to a GET from inside of it, as its own processes ask it; null where it cannot be had. */
  askInside(pod: Pod, port: number, path: string): Promise<string | null>
  /** The same for any request and any answer; it is sent once. @throws Error where none comes */
  requestInside(pod: Pod, port: number, request: InsideRequest): Promise<InsideAnswer>
}

/** How patient a connection is. */
export type Patience = {
  /** For one answer. */
  readonly timeoutMs: number
  /** In all, the first one included. */
  readonly attempts: number
  /** Before the second attempt; it doubles with each. A server's own Retry-After wins. */
  readonly backoffMs: number
  readonly signal?: AbortSignal
}

const patience: Patience = { timeoutMs: 30_000, attempts: 5, backoffMs: 200 }
const sockets = 16

/**
 * Opens the cluster of a context, the current one when none is named, of `$KUBECONFIG` or `~/.kube/config`.
 * @throws WrongContext when there is no kubeconfig or no such context; it lists the contexts that there are
 */
export function openConnection(context: string | undefined, wish: Partial<Patience> = {}): Connection {
  const config = loadConfig(context)
  const server = config.getCurrentCluster()?.server ?? ''
  const patient = { ...patience, ...wish }
  const agent = agentOf(config, server)
  return {
    context: config.getCurrentContext(),
    server,
    request: (request) => persist(server, patient, () => send(config, server, agent, patient, request)),
    askInside: (pod, port, path) => askInside(config, pod, port, path, patient.timeoutMs),
    requestInside: (pod, port, asked) => requestInside(config, pod, port, asked, patient.timeoutMs),
  }
}

function loadConfig(context: string | undefined): KubeConfig {
  const config = new KubeConfig()
  try {
    config.loadFromDefault()
  } catch (error) {
    throw new WrongContext(
      `The kubeconfig cannot be read: ${error instanceof Error ? error.message : String(error)}\nSet KUBECONFIG to one that exists, or make a cluster: bin/parley up --target kind`,
      { cause: error },
    )
  }
  const names = config.getContexts().map(({ name }) => name)
  // Without a file the library makes up a cluster on localhost:8080, which nobody has asked for.
  const invented = names.length === 1 && names[0] === 'loaded-context' && !process.env.KUBECONFIG
  if (names.length === 0 || invented) {
    throw new WrongContext(
      'There is no kubeconfig with a context. Set KUBECONFIG, or make a cluster: bin/parley up --target kind',
    )
  }
  const wanted = context ?? config.getCurrentContext()
  if (wanted === undefined || !names.includes(wanted)) {
    const lack = wanted ? `There is no context ${wanted}.` : 'The kubeconfig has no current context.'
    throw new WrongContext(`${lack} There are: ${[...names].sort().join(', ')}. Choose one with --context.`)
  }
  config.setCurrentContext(wanted)
  if (!config.getCurrentCluster()) {
    throw new WrongContext(`The context ${wanted} names a cluster that its kubeconfig does not have.`)
  }
  return config
}

/** One agent for the connection, which keeps its sockets; a proxy's agent is the library's own. */
function agentOf(config: KubeConfig, server: string): http.Agent | undefined {
  if (config.getCurrentCluster()?.proxyUrl) return undefined
  const options = { keepAlive: true, maxSockets: sockets }
  return server.startsWith('http:') ? new http.Agent(options) : new https.Agent(options)
}

type Timed = ApiResponse & { readonly retryAfterMs?: number }

async function persist(server: string, patient: Patience, once: () => Promise<Timed>): Promise<ApiResponse> {
  const { attempts, backoffMs, signal } = patient
  for (let attempt = 1; ; attempt += 1) {
    let waitMs = backoffMs * 2 ** (attempt - 1)
    try {
      if (signal?.aborted) throw interrupted()
      const { retryAfterMs, ...answer } = await once()
      if (attempt >= attempts || !isBusy(answer)) return answer
      waitMs = retryAfterMs ?? waitMs
    } catch (error) {
      if (signal?.aborted) throw interrupted()
      if (attempt >= attempts || !isPassing(error)) throw unreachable(server, error)
    }
    await sleep(waitMs, undefined, { ...(signal && { signal }) }).catch(() => {
      throw interrupted()
    })
  }
}

function interrupted(): ClusterError {
  return new ClusterError('INTERRUPTED', 'Interrupted.')
}

/** An error inside of the server passes, but one without a reason is its way to say that an object does not fit its schema. */
function isBusy({ status, body }: ApiResponse): boolean {
  const reasoned = typeof body !== 'object' || body === null || 'reason' in body
  return status === 429 || (status >= 500 && (status !== 500 || reasoned))
}

/** A certificate that does not hold, or a name that no one knows, is not better the second time. */
function isPassing(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException
  return ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'EAI_AGAIN'].includes(code)
}

function unreachable(server: string, error: unknown): ClusterError {
  const { message, code } = error as NodeJS.ErrnoException
  return new ClusterError(
    'UNREACHABLE',
    `The API server ${server} does not answer: ${message || code}.\nSee that the cluster runs and is reached from here (kubectl get --raw /readyz), then run it again.`,
    { cause: error },
  )
}

async function send(
  config: KubeConfig,
  server: string,
  agent: http.Agent | undefined,
  { timeoutMs, signal }: Patience,
  { method, path, body, contentType, accept }: ApiRequest,
): Promise<Timed> {
  // Asked anew for each request: tokens expire, and certificates are renewed in their files.
  const options: https.RequestOptions = { headers: {} }
  await config.applyToHTTPSOptions(options)
  const url = new URL(`${server.replace(/\/$/, '')}${path}`)
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  const headers = {
    ...(options.headers as Record<string, string>),
    accept: accept ?? 'application/json',
    'user-agent': 'parley',
    ...(payload && { 'content-type': contentType ?? 'application/json', 'content-length': payload.length }),
  }
  const { request } = url.protocol === 'http:' ? http : https
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      { ...options, ...(agent && { agent }), ...(signal && { signal }), method, headers },
      (answer) => {
        textOf(answer)
          .then((text) => resolve(responseOf(answer, text)))
          .catch(reject)
      },
    )
    asked.setTimeout(timeoutMs, () => {
      asked.destroy(Object.assign(new Error(`no answer within ${timeoutMs / 1000} s`), { code: 'ETIMEDOUT' }))
    })
    asked.on('error', reject)
    asked.end(payload)
  })
}

function responseOf(answer: http.IncomingMessage, text: string): Timed {
  const seconds = Number(answer.headers['retry-after'])
  const status = answer.statusCode ?? 0
  return {
    status,
    body: answer.headers['content-type']?.includes('json') ? JSON.parse(text) : text,
    ...(seconds > 0 && { retryAfterMs: seconds * 1000 }),
  }
}
