import { randomBytes } from 'node:crypto'
import { answerInWords } from './answer.ts'
import type { Answer, Exchange, Visit, Wish } from './row.ts'
import type { Shop } from './shop.ts'

/** A visit with what was exchanged in it, and what has to be put back. */
export type Visiting = Visit & { readonly exchanges: Exchange[]; readonly undo: (() => Promise<unknown>)[] }

/** Begins a visit with a trace of its own. */
export function visitOf(shop: Shop, signal: AbortSignal): Visiting {
  const traceId = randomBytes(16).toString('hex')
  const exchanges: Exchange[] = []
  const undo: (() => Promise<unknown>)[] = []
  return {
    shop,
    signal,
    traceId,
    token: traceId.slice(0, 12),
    exchanges,
    undo,
    async request(verb, path, wish = {}) {
      const answer = await ask(shop, verb, path, traceId, signal, wish)
      const came = answerInWords(answer, wish.worth ?? {})
      if (wish.shown !== false) exchanges.push({ sent: inWords(verb, path, wish), came, tookMs: answer.tookMs })
      return answer as Answer<never>
    },
    async show(sent, act, came) {
      const beganMs = performance.now()
      const result = await act()
      exchanges.push({ sent, came: came(result), tookMs: performance.now() - beganMs })
      return result
    },
    async until(what, query, right, everyMs = 100) {
      let last = 'it was never answered'
      while (!signal.aborted) {
        try {
          const answer = await query()
          if (right(answer)) return answer
          last = `the last answer was ${JSON.stringify(answer, bigintsAsText)?.slice(0, 300)}`
        } catch (error) {
          if (!signal.aborted) throw error
        }
        await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
      throw new Error(`${what} in time; ${last}`)
    },
    afterwards: (act) => void undo.unshift(act),
  }
}

async function ask(
  shop: Shop,
  verb: string,
  path: string,
  traceId: string,
  signal: AbortSignal,
  { at = 'gateway', headers = {}, body }: Wish,
): Promise<Answer<unknown>> {
  const beganMs = performance.now()
  const response = await fetch(`${shop.edgeOf(at)}${path}`, {
    method: verb,
    signal,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...traceHeaders(traceId),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const tookMs = performance.now() - beganMs
  return { status: response.status, headers: response.headers, body: parsed(text), tookMs }
}

/** What puts a request into the row's trace. */
export function traceHeaders(traceId: string): { readonly traceparent: string } {
  return { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` }
}

function inWords(verb: string, path: string, { at, headers, body }: Wish): string {
  const where = at === undefined ? path : `${path} of ${at}`
  const said = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  return [`${verb} ${where}`, ...said, ...(body === undefined ? [] : [JSON.stringify(body)])].join('  ')
}

function bigintsAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
