import type { Exchange, Row } from './row.ts'
import type { Shop } from './shop.ts'
import { type ReadTrace, traced } from './trace.ts'
import { type Visiting, visitOf } from './visit.ts'

/** How one row went. */
export type Walked = {
  readonly number: number
  readonly name: string
  readonly pattern: string
  /** Why it failed; null where all was as it has to be. */
  readonly failure: string | null
  readonly tookMs: number
  readonly exchanges: readonly Exchange[]
  /** Who took part, read from the trace. */
  readonly services: readonly string[]
  /** What else the trace showed. */
  readonly seen: string | null
  readonly traceId: string | null
}

/** The bounds of a walk. */
export type Bounds = {
  /** A row's time where it names none. Default 30 s. */
  readonly withinMs?: number
  /** For a row to end once its time is over, and for each thing that it puts back. Default 15 s. */
  readonly graceMs?: number
  /** For the spans of a row to arrive. Default 20 s. */
  readonly traceWithinMs?: number
}

type Ended = { readonly visit: Visiting; readonly tookMs: number; readonly failure: string | null }

/**
 * Walks rows one after the other; the next one begins while the spans of the last are still on their way. `tell` hears of each
 * in their order. What a row leaves changed is put back before the next begins, also where the walk is interrupted.
 */
export async function walkAll(
  rows: readonly Row[],
  shop: Shop,
  readTrace: ReadTrace,
  signal: AbortSignal,
  tell: (walked: Walked) => void,
  bounds: Bounds = {},
): Promise<readonly Walked[]> {
  const results: Walked[] = []
  let told = Promise.resolve()
  for (const row of rows) {
    if (signal.aborted) break
    const ended = await walkOne(row, shop, signal, bounds)
    const result = judged(row, ended, shop, readTrace, signal, bounds)
    told = told.then(async () => {
      const walked = await result
      results.push(walked)
      tell(walked)
    })
  }
  await told
  return results
}

async function walkOne(row: Row, shop: Shop, interrupted: AbortSignal, bounds: Bounds): Promise<Ended> {
  const { withinMs: otherwiseMs = 30_000, graceMs = 15_000 } = bounds
  const withinMs = row.withinMs ?? otherwiseMs
  const time = AbortSignal.timeout(withinMs)
  const visit = visitOf(shop, AbortSignal.any([time, interrupted]))
  const beganMs = performance.now()
  const problems: string[] = []
  const within = `within ${withinMs / 1_000} s`
  try {
    await settled(row.walk(visit), visit.signal, graceMs)
    if (time.aborted) problems.push(`It did not end ${within}`)
  } catch (error) {
    // A request that was cut off says no more than that.
    problems.push(time.reason === error ? `It did not end ${within}` : messageOf(error))
  }
  const tookMs = performance.now() - beganMs
  for (const undo of visit.undo) {
    const back = settled(undo(), AbortSignal.timeout(graceMs), 0)
    await back.catch((error: unknown) => problems.push(`What it changed could not be put back: ${messageOf(error)}`))
  }
  return { visit, tookMs, failure: problems.length > 0 ? problems.join('. ') : null }
}

/** Nobody is waited for who does not listen to a signal. */
async function settled(work: Promise<unknown>, signal: AbortSignal, graceMs: number): Promise<void> {
  const { promise: over, reject } = Promise.withResolvers<never>()
  const onAbort = () => void setTimeout(() => reject(signal.reason), graceMs).unref()
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([work, over])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function judged(
  { number, name, pattern, services, inspect }: Row,
  { visit, tookMs, failure }: Ended,
  shop: Shop,
  readTrace: ReadTrace,
  interrupted: AbortSignal,
  { traceWithinMs = 20_000 }: Bounds,
): Promise<Walked> {
  const { traceId, exchanges } = visit
  const what = { number, name, pattern, tookMs, exchanges }
  if (services.length === 0) return { ...what, failure, services: [], seen: null, traceId: null }
  // Of a row that failed the trace is shown as far as it goes.
  const expected = failure === null ? services : []
  const signal = AbortSignal.any([AbortSignal.timeout(traceWithinMs), interrupted])
  const seenIn =
    failure === null && inspect ? (spans: Parameters<typeof inspect>[0]) => inspect(spans, shop) : () => null
  try {
    return { ...what, failure, traceId, ...(await traced(() => readTrace(traceId, signal), expected, seenIn, signal)) }
  } catch (error) {
    return { ...what, failure: failure ?? messageOf(error), services: [], seen: null, traceId }
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // What `fetch` says of itself is nothing; its cause is.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
