import type { Visit } from './row.ts'
import { traceHeaders } from './visit.ts'

/** An event of a stream of server-sent events; the data is parsed where it is JSON. */
export type ServerEvent = { readonly id: string; readonly event: string; readonly data: Record<string, unknown> }

const bytesMax = 1_000_000

/** Reads a stream of the gateway until it has told `count` events, then hangs up. `after` is the last one that was read before. */
export async function readEvents(visit: Visit, path: string, count: number, after?: string): Promise<ServerEvent[]> {
  const response = await fetch(`${visit.shop.edgeOf('gateway')}${path}`, {
    signal: visit.signal,
    headers: { accept: 'text/event-stream', ...traceHeaders(visit.traceId), ...(after && { 'last-event-id': after }) },
  })
  if (!response.ok || !response.body) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const events = serverEventsIn(text)
    if (events.length >= count) return events.slice(0, count)
    if (text.length > bytesMax) throw new Error(`${path} told more than ${bytesMax} bytes and not ${count} events`)
  }
  throw new Error(`${path} ended after ${serverEventsIn(text).length} events`)
}

/** Whole events only; a comment that keeps the connection alive is none. */
function serverEventsIn(text: string): ServerEvent[] {
  return text
    .split('\n\n')
    .slice(0, -1)
    .flatMap((block) => {
      const field = (name: string) => block.match(new RegExp(`^${name}: ?(.*)$`, 'm'))?.[1]
      const data = field('data')
      return data === undefined
        ? []
        : [{ id: field('id') ?? '', event: field('event') ?? 'message', data: JSON.parse(data) }]
    })
}
