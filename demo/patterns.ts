/** A row of the table of patterns: what the field says that it costs, and where the shop uses it. */
export type Pattern = {
  readonly number: number
  readonly name: string
  /** Claims to test, not facts; what is measured stands in `bench/RESULTS.md`. */
  readonly latency: string
  readonly throughput: string
  readonly where: string
  /** Its page in `docs/patterns`, without the ending. */
  readonly page: string
}

/** The whole table, and what goes across all of it. */
export const patterns: readonly Pattern[] = [
  pattern(1, 'REST, JSON over HTTP', '10–100 ms', '2–4 K/s an instance', 'the public API; catalog inside', 'rest'),
  pattern(2, 'gRPC, unary', '1–20 ms', '7–9 K/s an instance', 'gateway → orders → inventory', 'grpc-unary'),
  pattern(
    3,
    'gRPC streaming',
    '< 1 ms a message',
    'very high',
    'ListOrders, StreamOrderUpdates, UploadOrders, ProcessOrders',
    'grpc-streaming',
  ),
  pattern(4, 'GraphQL', '10–200 ms', 'moderate', 'storefront', 'graphql'),
  pattern(5, 'Message queue', '5–50 ms', 'high', 'notifications', 'message-queue'),
  pattern(6, 'Request–reply over a queue', '–', '–', 'shipping quotes', 'request-reply'),
  pattern(7, 'Publish/subscribe', '2–20 ms', '1 M+/s', 'domain events', 'publish-subscribe'),
  pattern(8, 'Event streaming', '–', 'very high', 'analytics', 'event-streaming'),
  pattern(9, 'Event sourcing', '10–100 ms', 'high', 'orders', 'event-sourcing'),
  pattern(10, 'CQRS', '–', '–', 'orders: list and detail', 'cqrs'),
  pattern(11, 'Saga by choreography', '100 ms–10 s', 'moderate', 'checkout', 'saga-choreography'),
  pattern(12, 'Saga by orchestration', '50 ms–5 s', 'moderate', 'fulfilment', 'saga-orchestration'),
  pattern(13, 'Service mesh', '+1–3 ms', 'proxied', 'every synchronous edge', 'service-mesh'),
  pattern(14, 'Webhooks', '100 ms–30 s', 'low to moderate', 'order events to subscribers', 'webhooks'),
  pattern(15, 'API gateway and composition', '–', '–', 'gateway', 'api-gateway'),
  pattern(16, 'gRPC for browsers', '–', '–', 'gRPC-Web in the proxy', 'grpc-web'),
  pattern(17, 'API versions', '–', '–', 'gateway: path, header, media type, query', 'api-versions'),
  pattern(18, 'Shared database: the anti-pattern', '1–10 ms', 'high', 'refused', 'shared-database'),
  pattern(19, 'Dead letters', '–', '–', 'every consumer and worker', 'dead-letters'),
]

/** The index of the pages, as Markdown. A page that is not written yet has no link, a row that is not shown no command. */
export function patternsIndex(pages: readonly string[], shown: readonly number[]): string {
  const rows = patterns.map(({ number, name, latency, throughput, where, page }) => {
    const link = pages.includes(page) ? `[${name}](${page}.md)` : name
    const command = shown.includes(number) ? `\`make demo ROW=${number}\`` : '–'
    return `| ${[number, link, latency, throughput, where, command].join(' | ')} |`
  })
  return [
    '# Patterns',
    '',
    'Generated from `demo/patterns.ts`; refreshed by `UPDATE_GOLDEN=1` when `test/patterns.test.ts` runs. Do not edit.',
    '',
    'Every pattern of the field, as the shop really runs it. Latency and throughput are what articles claim; what was measured here, with batch',
    'size and durability beside it, stands in [RESULTS](../../bench/RESULTS.md). Which one fits is asked by `bin/parley choose`.',
    '',
    '| # | Pattern | Claimed latency | Claimed throughput | In the shop | Shown by |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function pattern(
  number: number,
  name: string,
  latency: string,
  throughput: string,
  where: string,
  page: string,
): Pattern {
  return { number, name, latency, throughput, where, page }
}
