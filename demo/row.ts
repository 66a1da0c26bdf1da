import type { Worth } from './answer.ts'
import type { Shop } from './shop.ts'
import type { Span } from './trace.ts'

/** One row of the table of patterns, as it is shown on the running shop. */
export type Row = {
  /** Its number in the table; what stands beside the table goes on after 18. */
  readonly number: number
  /** Short, for `ROW=`: `request-reply`. */
  readonly name: string
  readonly pattern: string
  /** Who must be in the trace at least. Empty for what no request passes through: then there is no trace. */
  readonly services: readonly string[]
  /** How long its walk may take in all. Default 30 s. */
  readonly withinMs?: number
  /** Shows the pattern by real requests. Throws where something is not as it has to be; `must` and `visit.until` do. */
  readonly walk: (visit: Visit) => Promise<void>
  /** What the trace has to show beside who took part. Answers what was seen in words, and throws while it is not all there. */
  readonly inspect?: (spans: readonly Span[], shop: Shop) => string
}

/** Something sent, and what came of it, in words. */
export type Exchange = { readonly sent: string; readonly came: string; readonly tookMs: number }

/** An answer over HTTP; the body is parsed where it is JSON. */
export type Answer<T = Record<string, unknown>> = {
  readonly status: number
  readonly headers: Headers
  readonly body: T
  readonly tookMs: number
}

/** What a request has beside its path. `at` is the service whose edge is asked; the gateway by default. */
export type Wish = {
  readonly at?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** False for what only waits or looks, which nobody wants to read. Default true. */
  readonly shown?: boolean
  /** What of the answer is printed. */
  readonly worth?: Worth
}

/** What a row has at hand while it is walked. Everything in it ends with the row's time. */
export type Visit = {
  readonly shop: Shop
  /** Aborts when the row's time is over, or the walk is interrupted. */
  readonly signal: AbortSignal
  /** Of all that the row asks for: it goes with every request. */
  readonly traceId: string
  /** For what has to be new in every walk, such as an idempotency key. */
  readonly token: string
  /** Asks over HTTP as somebody outside would, and shows it. */
  request<T = Record<string, unknown>>(verb: string, path: string, wish?: Wish): Promise<Answer<T>>
  /** Does anything else, and shows it in the words given. */
  show<T>(sent: string, act: () => Promise<T>, came: (result: T) => string): Promise<T>
  /** Asks every 100 ms, or as said, until the answer is right; throws with the last one when the row's time is over. Not shown. */
  until<T>(what: string, ask: () => Promise<T>, right: (answer: T) => boolean, everyMs?: number): Promise<T>
  /** What is put back when the row ends, however it ends; the last one first. */
  afterwards(undo: () => Promise<unknown>): void
}

/** Throws where something is not as the pattern promises. */
export function must(holds: unknown, promise: string): asserts holds {
  if (!holds) throw new Error(promise)
}
