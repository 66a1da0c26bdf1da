import { type Metadata, status } from '@grpc/grpc-js'
import { SpanKind } from '@opentelemetry/api'
import { acceptCorrelationId, correlationHeader, runInContext } from '../context.ts'
import { abortable, type DeadlineTimer, startTimer } from '../deadline.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { type Carrier, durations, extractTrace, inSpan } from '../telemetry/telemetry.ts'
import { grpcStatusOf } from './errors.ts'

/** One call as its layers see it. */
export type Incoming = {
  /** `package.Service/Method`. */
  readonly method: string
  readonly metadata: Metadata
  readonly correlationId: string
  readonly timer: DeadlineTimer
  readonly log: Log
}

/** One step around a handler. What it throws becomes the call's status. */
export type Layer = (call: Incoming, next: () => Promise<void>) => Promise<void>

/**
 * What every call of a service passes, outermost first. Who may call was decided before by the mesh, from the
 * declaration, so there is no such layer here.
 */
export const serverStack: readonly Layer[] = [traced, inItsContext, untilDeadline, asOperatingError]

/** Reads what came with a call. `deadlineMs` is on the wall clock, as grpc-js gives it. */
export function incoming(method: string, metadata: Metadata, deadlineMs: number, log: Log): Incoming {
  const given = metadata.get(correlationHeader)[0]?.toString()
  const timeoutMs = Number.isFinite(deadlineMs) ? Math.max(0, deadlineMs - Date.now()) : Number.POSITIVE_INFINITY
  return { method, metadata, correlationId: acceptCorrelationId(given), timer: startTimer(timeoutMs), log }
}

/** Runs the layers around a handler. */
export async function through(stack: readonly Layer[], call: Incoming, handle: () => Promise<void>): Promise<void> {
  const run = stack.reduceRight<() => Promise<void>>((next, layer) => () => layer(call, next), handle)
  try {
    await run()
  } finally {
    call.timer.clear()
  }
}

/** A span of the caller's trace, and the call's duration by its outcome. */
async function traced(call: Incoming, next: () => Promise<void>): Promise<void> {
  const attributes = { [attribute.rpcSystem]: 'grpc', [attribute.rpcMethod]: call.method }
  const startedMs = performance.now()
  let outcome: status = status.OK
  const parent = extractTrace(carrierOf(call.metadata))
  const ids = { [attribute.correlationId]: call.correlationId }
  try {
    await inSpan(
      call.method,
      { kind: SpanKind.SERVER, attributes: { ...attributes, ...ids }, parent },
      async (span) => {
        try {
          await next()
        } catch (thrown) {
          outcome = grpcStatusOf[ServiceError.from(thrown).code]
          throw thrown
        } finally {
          span.setAttribute(attribute.rpcStatus, status[outcome])
        }
      },
    )
  } finally {
    const seconds = (performance.now() - startedMs) / 1_000
    durations(metric.rpcServerDuration).record(seconds, { ...attributes, [attribute.rpcStatus]: status[outcome] })
  }
}

/** The correlation id, the deadline and the signal, for whatever the handler calls. */
function inItsContext(call: Incoming, next: () => Promise<void>): Promise<void> {
  const { deadline, signal } = call.timer
  return runInContext({ correlationId: call.correlationId, deadline, signal }, next)
}

/** Answers when the time is up or the caller went away, whether or not the handler listens to its signal. */
export function untilDeadline(call: Incoming, next: () => Promise<void>): Promise<void> {
  if (call.timer.signal.aborted) return Promise.reject(call.timer.signal.reason)
  return abortable(call.timer.signal, next())
}

/** Programmer errors become `internal`, and what is our fault is logged where the trace and the correlation id are known. */
async function asOperatingError(call: Incoming, next: () => Promise<void>): Promise<void> {
  try {
    await next()
  } catch (thrown) {
    const error = ServiceError.from(thrown)
    if (error.code === 'internal') call.log.error(`${call.method} failed.`, { error })
    throw error
  }
}

/** The trace context of a call's metadata. */
function carrierOf(metadata: Metadata): Carrier {
  const carrier: Carrier = {}
  for (const key of ['traceparent', 'tracestate']) {
    const value = metadata.get(key)[0]
    if (typeof value === 'string') carrier[key] = value
  }
  return carrier
}
