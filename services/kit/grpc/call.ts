import type { DescMethod } from '@bufbuild/protobuf'
import { type Client as Channel, type ServiceError as GrpcFailure, Metadata, status } from '@grpc/grpc-js'
import { SpanKind } from '@opentelemetry/api'
import { correlationHeader, correlationId, currentSignal } from '../context.ts'
import { callTimeoutMs } from '../deadline.ts'
import { ServiceError } from '../errors.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { durations, injectTrace, inSpan } from '../telemetry/telemetry.ts'
import { fromGrpcStatus, grpcStatusOf } from './errors.ts'

/** What may be said about one call. The policy of the edge is declared, not given here. */
export type CallOptions = {
  /** Cancels the call, beside the request under way, whose end always does. */
  readonly signal?: AbortSignal
}

/** A method as it is called: over which connection, and how long at most. */
export type Outgoing = {
  readonly channel: Channel
  readonly method: DescMethod
  readonly callee: string
  readonly timeoutMs: number
}

/** The correlation id and the trace under way, as metadata. */
export function outgoingMetadata(): Metadata {
  const metadata = new Metadata()
  metadata.set(correlationHeader, correlationId())
  for (const [key, value] of Object.entries(injectTrace({}))) metadata.set(key, value)
  return metadata
}

/** When the call ends at the latest, on the wall clock, as grpc-js wants it; it travels as `grpc-timeout`. */
export function callOptions({ timeoutMs }: Outgoing): { deadline: number } {
  return { deadline: Date.now() + callTimeoutMs(timeoutMs) }
}

/** Cancels a call when the request under way ends or the given signal aborts. Returns how to stop listening. */
export function cancelWith(sent: { cancel(): void }, signal?: AbortSignal): () => void {
  const signals = [currentSignal(), ...(signal ? [signal] : [])]
  const cancel = () => sent.cancel()
  for (const each of signals) {
    if (each.aborted) cancel()
    each.addEventListener('abort', cancel, { once: true })
  }
  return () => {
    for (const each of signals) each.removeEventListener('abort', cancel)
  }
}

/** The operating error for a failed call; the reason of the request under way, where that was what ended it. */
export function failureOf({ callee, method }: Outgoing, failure: GrpcFailure | null): ServiceError {
  const signal = currentSignal()
  if (failure?.code === status.CANCELLED && signal.aborted) return ServiceError.from(signal.reason)
  const unexplained = { code: status.INTERNAL, details: 'neither an answer nor a failure', metadata: new Metadata() }
  return fromGrpcStatus(failure ?? unexplained, `${callee} ${method.name}`)
}

/** Runs a call within its span, and records how long it took and how it ended. */
export async function observed<T>({ method, callee }: Outgoing, run: () => Promise<T>): Promise<T> {
  const name = `${method.parent.typeName}/${method.name}`
  const attributes = {
    [attribute.rpcSystem]: 'grpc',
    [attribute.rpcMethod]: name,
    [attribute.serverAddress]: callee,
  }
  const startedMs = performance.now()
  let outcome: status = status.OK
  try {
    return await inSpan(name, { kind: SpanKind.CLIENT, attributes }, run)
  } catch (thrown) {
    outcome = grpcStatusOf[ServiceError.from(thrown).code]
    throw thrown
  } finally {
    const seconds = (performance.now() - startedMs) / 1_000
    durations(metric.rpcClientDuration).record(seconds, { ...attributes, [attribute.rpcStatus]: status[outcome] })
  }
}
