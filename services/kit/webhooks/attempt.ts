import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { remainingMs, withDeadline } from '../deadline.ts'
import { isServiceError } from '../errors.ts'
import { readRetryAfter } from './schedule.ts'
import { addressesOf, readTarget, type TargetAddress, type TargetPolicy, TargetRefused } from './target.ts'

/** Why an attempt failed, as a stable code for the delivery log; empty where it did not. */
export type AttemptError =
  | ''
  | 'target-refused'
  | 'redirected'
  | 'gone'
  | 'answered'
  | 'timeout'
  | 'connection'
  | 'attempts-used-up'
  | 'queue-full'

/** What came of one attempt. */
export type Attempt = {
  readonly at: Date
  readonly durationMs: number
  /** The status of HTTP; null where there was no answer. */
  readonly status: number | null
  readonly error: AttemptError
  /** For people; empty where it succeeded. */
  readonly reason: string
  /** How the answer's body begins. */
  readonly excerpt: string
  readonly retryAfterMs: number
}

/** One request as it is to be sent. */
export type Post = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Its bounds. */
export type AttemptOptions = {
  readonly timeoutMs: number
  readonly clock: () => Date
}

const excerptBytesMax = 2_048
const excerptMsMax = 1_000
const excerptCharactersMax = 500

/**
 * Posts once. Never throws for what the other side does: a redirect is not followed, an answer is read no further than its
 * beginning, and all of it, the name's resolution included, takes `timeoutMs` at most. Throws when the surrounding signal aborts.
 */
export async function attempt(policy: TargetPolicy, post: Post, options: AttemptOptions): Promise<Attempt> {
  const at = options.clock()
  const beganMs = performance.now()
  const none = { status: null, excerpt: '', retryAfterMs: 0 }
  const outcome = await withDeadline(options.timeoutMs, (signal) => ask(policy, post, options, signal)).catch(
    (thrown: unknown) => {
      if (isServiceError(thrown, 'cancelled')) throw thrown
      return { ...none, ...failureOf(thrown, options.timeoutMs) }
    },
  )
  return { at, durationMs: Math.round(performance.now() - beganMs), ...outcome }
}

type Outcome = Omit<Attempt, 'at' | 'durationMs'>

async function ask(policy: TargetPolicy, post: Post, options: AttemptOptions, signal: AbortSignal): Promise<Outcome> {
  const url = readTarget(policy, post.url)
  const addresses = await addressesOf(policy, url, signal)
  const response = await responseOf(open(url, addresses, post, signal))
  const status = response.statusCode ?? 0
  const retryAfterMs = readRetryAfter(response.headers['retry-after'], options.clock())
  return { status, retryAfterMs, excerpt: await excerptOf(response), ...judge(status) }
}

function open(
  url: URL,
  addresses: readonly [TargetAddress, ...TargetAddress[]],
  { headers, body }: Post,
  signal: AbortSignal,
): ClientRequest {
  const common = {
    method: 'POST',
    signal,
    lookup: pinned(addresses),
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'Parley-Webhooks/1',
      connection: 'close',
      ...headers,
    },
  }
  // An agent of its own for each: no connection outlives the judgement of its address, and no proxy of the environment is used.
  const request =
    url.protocol === 'https:'
      ? httpsRequest(url, { ...common, agent: new HttpsAgent() })
      : httpRequest(url, { ...common, agent: new HttpAgent() })
  return request.end(body)
}

/** Resolves to what was judged, whatever the name says now. */
function pinned(addresses: readonly [TargetAddress, ...TargetAddress[]]): LookupFunction {
  return (_host, { all }, callback) => {
    if (all) callback(null, [...addresses])
    else callback(null, addresses[0].address, addresses[0].family)
  }
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', resolve)
  })
}

/** What it says is for people alone, so it is no matter where it ends, nor if it never does: the status has decided. */
async function excerptOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => response.destroy(), Math.min(excerptMsMax, remainingMs() / 2))
  try {
    for await (const chunk of response) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= excerptBytesMax) break
    }
  } catch {
    // It broke off, or took too long.
  }
  clearTimeout(timer)
  response.destroy()
  const text = Buffer.concat(chunks).subarray(0, excerptBytesMax).toString('utf8')
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, excerptCharactersMax)
}

function judge(status: number): Pick<Outcome, 'error' | 'reason'> {
  if (status >= 200 && status < 300) return { error: '', reason: '' }
  if (status >= 300 && status < 400) {
    return {
      error: 'redirected',
      reason: `It was answered with ${status}. Redirects are not followed: change the URL.`,
    }
  }
  if (status === 410) return { error: 'gone', reason: 'It was answered with 410: the endpoint is gone.' }
  return { error: 'answered', reason: `It was answered with ${status}.` }
}

function failureOf(thrown: unknown, timeoutMs: number): Pick<Outcome, 'error' | 'reason'> {
  if (thrown instanceof TargetRefused) return { error: 'target-refused', reason: thrown.message }
  if (isServiceError(thrown, 'deadline-exceeded')) {
    return { error: 'timeout', reason: `There was no answer within ${timeoutMs} ms.` }
  }
  const code = thrown instanceof Error && 'code' in thrown ? `${thrown.code}: ` : ''
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return { error: 'connection', reason: `${code}${message}`.replace(/\p{Cc}+/gu, ' ').slice(0, excerptCharactersMax) }
}
