/** A span as Zipkin keeps it, of which only this is looked at. */
export type Span = {
  readonly kind?: string
  readonly name?: string
  readonly id?: string
  readonly parentId?: string
  /** When it began, in microseconds since 1970. */
  readonly timestamp?: number
  readonly localEndpoint?: { readonly serviceName?: string }
  readonly tags?: Readonly<Record<string, string>>
}

/** Reads a trace; empty while nothing of it has arrived. */
export type ReadTrace = (traceId: string, signal: AbortSignal) => Promise<readonly Span[]>

/** What a trace told, once it held all that was expected. */
export type Traced = { readonly services: readonly string[]; readonly seen: string | null }

const againMs = 250

/** Reads traces from Zipkin at an address such as `http://127.0.0.1:9411`. */
export function zipkinAt(url: string): ReadTrace {
  return async (traceId, signal) => {
    const response = await fetch(`${url}/api/v2/trace/${traceId}`, { signal })
    // Also 404: the first span has not arrived.
    return response.ok ? ((await response.json()) as Span[]) : []
  }
}

/** The events that were published, in their order, each once and without its package. */
export function publishedIn(spans: readonly Span[]): string[] {
  const published = spans
    .filter(({ kind, tags }) => kind === 'PRODUCER' && tags?.['parley.event.type'])
    .sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0))
  return [...new Set(published.flatMap(({ tags }) => tags?.['parley.event.type']?.split('.').at(-1) ?? []))]
}

/** The same for each key, such as an order: a key is said by whoever handles the event, or what it follows from. */
export function publishedByKey(spans: readonly Span[]): ReadonlyMap<string, readonly string[]> {
  const keyOf = ({ tags }: Span) => tags?.['messaging.kafka.message.key']
  const messageOf = ({ tags }: Span) => tags?.['messaging.message.id']
  const keys = new Map(spans.flatMap((span) => (keyOf(span) ? [[messageOf(span), keyOf(span)] as const] : [])))
  const spanOf = new Map(spans.map((span) => [span.id, span]))
  const keyed = spans.flatMap((span) => {
    const cause = spanOf.get(span.parentId)
    const key = keys.get(messageOf(span)) ?? (cause && keyOf(cause))
    return key && span.kind === 'PRODUCER' ? [{ key, span }] : []
  })
  const byKey = Map.groupBy(keyed, ({ key }) => key)
  return new Map([...byKey].map(([key, of]) => [key, publishedIn(of.map(({ span }) => span))]))
}

/** Who took part, by name. */
function servicesIn(spans: readonly Span[]): string[] {
  return [...new Set(spans.flatMap(({ localEndpoint }) => localEndpoint?.serviceName ?? []))].sort()
}

/**
 * Waits until a trace holds everybody who is expected, and all that `inspect` asks of it: services send their spans every few
 * seconds. Rejects with what is missing when the signal aborts.
 */
export async function traced(
  read: () => Promise<readonly Span[]>,
  expected: readonly string[],
  inspect: (spans: readonly Span[]) => string | null,
  signal: AbortSignal,
): Promise<Traced> {
  let problem = 'The trace could not be read'
  while (!signal.aborted) {
    try {
      const spans = await read()
      const services = servicesIn(spans)
      const missing = expected.filter((name) => !services.includes(name))
      if (missing.length === 0) return { services, seen: inspect(spans) }
      problem = `The trace lacks ${missing.join(', ')}; in it are: ${services.join(', ') || 'nobody'}`
    } catch (error) {
      if (!signal.aborted) problem = error instanceof Error ? error.message : String(error)
    }
    await new Promise((resolve) => setTimeout(resolve, againMs))
  }
  throw new Error(problem)
}
