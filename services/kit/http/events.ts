import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply } from 'fastify'
import type { App } from '../app/lifecycle.ts'
import { ServiceError } from '../errors.ts'
import { problemOf } from './problem.ts'
import { type Exchange, within } from './stack.ts'

/** A server-sent event. Without `data` it is a sign of life, which clients do not see. */
export type ServerEvent = {
  /** Where the client goes on after a lost connection: it sends this as `Last-Event-ID`. */
  readonly id?: string
  readonly event?: string
  readonly data?: unknown
}

/** Sends streams of events, and counts them. */
export type EventStreams = {
  send(reply: FastifyReply, events: AsyncIterable<ServerEvent>, exchange: Exchange): Promise<FastifyReply>
}

/** After how long a browser comes back by itself, and as much again at most, so that not all come at once. */
const retryMs = 1_000

/**
 * Answers with `text/event-stream`, `streamsMax` at once; more are refused with `overloaded`. What fails before the first
 * event is a problem document like any other; what fails later is told as an event `problem`, and then the stream ends.
 * A stream also ends when the process stops, and at its deadline: the client comes back after `retry`, and goes on.
 */
export function eventStreams(app: Pick<App, 'stopping' | 'log'>, streamsMax: number): EventStreams {
  let open = 0
  return {
    async send(reply, events, exchange) {
      if (open >= streamsMax) throw new ServiceError('overloaded', `${streamsMax} streams are open already.`)
      open += 1
      const iterator = events[Symbol.asyncIterator]()
      let counted = true
      const end = () => {
        if (counted) open -= 1
        counted = false
      }
      try {
        // A request that is refused is refused with a status, which can only be said before the first byte.
        const first = within(exchange, () => iterator.next())
        await Promise.race([first, sleep(refusalWithinMs)])
        const lines = write(iterator, first, exchange, app)
        const body = Readable.from(lines, { objectMode: false, highWaterMark: bufferBytesMax })
        body.once('close', end)
        return (
          reply
            .type('text/event-stream')
            .header('cache-control', 'no-store')
            .header('x-accel-buffering', 'no')
            // A connection that was kept for another request after the last event would hold up a server that closes.
            .header('connection', 'close')
            .send(body)
        )
      } catch (thrown) {
        end()
        throw thrown
      }
    },
  }
}

const bufferBytesMax = 16 * 1024
/** A source that is silent for this long has begun well, and its reader should know: it is answered with 200. */
export const refusalWithinMs = 200

async function* write(
  iterator: AsyncIterator<ServerEvent>,
  first: Promise<IteratorResult<ServerEvent>>,
  exchange: Exchange,
  app: Pick<App, 'stopping' | 'log'>,
): AsyncIterable<string> {
  const { signal } = exchange.timer
  const ended = Promise.withResolvers<'ended'>()
  const end = () => ended.resolve('ended')
  const signals = [signal, app.stopping]
  for (const each of signals) {
    if (each.aborted) end()
    each.addEventListener('abort', end, { once: true })
  }
  try {
    yield `retry: ${Math.round(retryMs * (1 + Math.random()))}\n\n`
    let next = await Promise.race([first, ended.promise])
    while (next !== 'ended' && !next.done) {
      yield text(next.value)
      next = await Promise.race([within(exchange, () => iterator.next()), ended.promise])
    }
  } catch (thrown) {
    if (signal.aborted || app.stopping.aborted) return
    const error = ServiceError.from(thrown)
    if (error.code === 'internal') app.log.error('A stream of events failed.', { error })
    // A part that is away for a moment is nothing to tell of: the client comes back and goes on.
    if (error.transient) return
    const { correlationId } = exchange
    yield text({ event: 'problem', data: problemOf(error, { instance: '', correlationId }) })
  } finally {
    for (const each of signals) each.removeEventListener('abort', end)
    // The source may wait for something that never comes; its request's signal is what ends it then.
    exchange.timer.abort(new ServiceError('cancelled', 'The stream has ended.'))
    iterator.return?.()?.catch(() => undefined)
  }
}

function text({ id, event, data }: ServerEvent): string {
  if (data === undefined) return ': alive\n\n'
  const name = event === undefined ? '' : `event: ${event}\n`
  return `${id === undefined ? '' : `id: ${id}\n`}${name}data: ${JSON.stringify(data)}\n\n`
}
