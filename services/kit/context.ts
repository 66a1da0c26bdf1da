import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { Deadline } from './deadline.ts'

/** What travels with one request or one message through everything that it causes. The trace is OpenTelemetry's. */
export type RequestContext = {
  /** Given by the outermost caller or made at the edge; the same through HTTP, gRPC, Kafka and RabbitMQ. */
  readonly correlationId: string
  /** When the answer is no longer wanted; null where nobody waits, such as for an event. */
  readonly deadline: Deadline | null
  /** Aborts when the deadline passes or the caller goes away. Its reason is a `ServiceError`. */
  readonly signal: AbortSignal
}

/** The header, metadata key and message property that carries the correlation id everywhere. */
export const correlationHeader = 'x-correlation-id'

const storage = new AsyncLocalStorage<RequestContext>()
/** The signal of work that nobody can cancel. */
const never = new AbortController().signal

/** The context of the request under way, or undefined outside of any. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore()
}

/** Runs a function within a context; everything it awaits sees the same one. */
export function runInContext<T>(context: RequestContext, run: () => T): T {
  return storage.run(context, run)
}

/**
 * Runs a function as the work that one message or one timer causes: with the correlation id that came along (a new one
 * where it is missing or malformed), with a deadline only where somebody waits for an answer, and with a signal where the worker can
 * be told to stop.
 */
export function runAsMessage<T>(
  correlationId: string | undefined,
  run: () => T,
  signal: AbortSignal = never,
  deadline: Deadline | null = null,
): T {
  return storage.run({ correlationId: acceptCorrelationId(correlationId), deadline, signal }, run)
}

/** The correlation id under way; a new one outside of any request. */
export function correlationId(): string {
  return storage.getStore()?.correlationId ?? randomUUID()
}

/** The signal under way; outside of any request one that never aborts. */
export function currentSignal(): AbortSignal {
  return storage.getStore()?.signal ?? never
}

/** Keeps an id that came from outside if it is 1 to 128 characters of `A-Z a-z 0-9 . _ : -`, otherwise makes a new one. */
export function acceptCorrelationId(given: string | undefined): string {
  return given !== undefined && /^[A-Za-z0-9._:-]{1,128}$/.test(given) ? given : randomUUID()
}
