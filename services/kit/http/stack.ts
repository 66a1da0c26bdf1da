import type { IncomingMessage } from 'node:http'
import { type Context, context, type Span, SpanKind, trace } from '@opentelemetry/api'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { acceptCorrelationId, correlationHeader, runInContext } from '../context.ts'
import { abortable, type DeadlineTimer, startTimer } from '../deadline.ts'
import { ServiceError } from '../errors.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { type Carrier, durations, extractTrace, tracer } from '../telemetry/telemetry.ts'

/** How long the caller still waits, in milliseconds: what Parley's own clients send over HTTP, as gRPC has `grpc-timeout`. */
export const timeoutHeader = 'x-parley-timeout-ms'

/** What is known of one request from its headers to its answer. */
export type Exchange = {
  readonly correlationId: string
  readonly timer: DeadlineTimer
  readonly span: Span
  readonly parent: Context
  readonly startedMs: number
}

const exchanges = new WeakMap<IncomingMessage, Exchange>()

/** What is known of a request; every request has it from the first hook on. */
export function exchangeOf(request: FastifyRequest): Exchange {
  const found = exchanges.get(request.raw)
  if (!found) throw new Error('A request was answered that never began: observe(server, …) comes before its routes')
  return found
}

/** Gives every request its correlation id, trace, deadline and measure, whatever becomes of it. */
export function observe(server: FastifyInstance, deadlineOf: (request: FastifyRequest) => number): void {
  server.addHook('onRequest', (request, reply, done) => {
    const exchange = begin(request, deadlineOf(request))
    exchanges.set(request.raw, exchange)
    reply.header(correlationHeader, exchange.correlationId)
    reply.raw.once('close', () => {
      if (reply.raw.writableFinished) return
      exchange.timer.abort(new ServiceError('cancelled', 'The client went away.'))
      // Fastify has no hook for this: the span, the measure and the timer of a stream's life would be left behind.
      end(exchange, request, reply.raw.headersSent ? reply.statusCode : clientGone)
    })
    done()
  })
  server.addHook('onResponse', (request, reply, done) => {
    end(exchangeOf(request), request, reply.statusCode)
    done()
  })
}

/** Runs a handler within its request: trace, correlation id and deadline. Answers when the time is up, whether or not it listens. */
export function within<T>(exchange: Exchange, handle: () => Promise<T>): Promise<T> {
  return inContextOf(exchange, () => abortable(exchange.timer.signal, handle()))
}

/** Runs what belongs to a request, such as a line of the log about it, also when its time is up or its client is gone. */
export function inContextOf<T>({ correlationId, timer, span, parent }: Exchange, run: () => T): T {
  const { deadline, signal } = timer
  return context.with(trace.setSpan(parent, span), () => runInContext({ correlationId, deadline, signal }, run))
}

function begin(request: FastifyRequest, deadlineMs: number): Exchange {
  const header = (name: string) => [request.headers[name]].flat()[0]
  const correlationId = acceptCorrelationId(header(correlationHeader))
  const asked = Number(header(timeoutHeader) ?? Number.POSITIVE_INFINITY)
  const timeoutMs = asked > 0 ? Math.min(deadlineMs, asked) : deadlineMs
  const carrier: Carrier = {}
  for (const name of ['traceparent', 'tracestate']) {
    const value = header(name)
    if (value !== undefined) carrier[name] = value
  }
  const parent = extractTrace(carrier)
  const attributes = { [attribute.correlationId]: correlationId, [attribute.urlPath]: pathOf(request) }
  const span = tracer().startSpan(request.method, { kind: SpanKind.SERVER, attributes }, parent)
  return { correlationId, timer: startTimer(timeoutMs), span, parent, startedMs: performance.now() }
}

const clientGone = 499
const ended = new WeakSet<Exchange>()

function end(exchange: Exchange, request: FastifyRequest, status: number): void {
  if (ended.has(exchange)) return
  ended.add(exchange)
  const { timer, span, startedMs } = exchange
  timer.clear()
  // The template, not the path: a metric with the ids of all orders in it would never end.
  const route = request.routeOptions.url ?? 'unmatched'
  const attributes = {
    [attribute.httpMethod]: request.method,
    [attribute.httpRoute]: route,
    [attribute.httpStatus]: status,
  }
  span.updateName(`${request.method} ${route}`)
  span.setAttributes(attributes)
  if (status >= 500) span.setAttribute(attribute.errorType, String(status))
  span.end()
  durations(metric.httpServerDuration).record((performance.now() - startedMs) / 1_000, attributes)
}

/** The path as the client wrote it; `pathOf` has the version in it that was asked for elsewhere. */
export function askedPathOf(request: FastifyRequest): string {
  return request.originalUrl.split('?')[0] ?? '/'
}

/** The path without its query, which may hold what does not belong into a trace. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '/'
}
