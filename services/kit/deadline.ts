import { acceptCorrelationId, currentContext, runInContext } from './context.ts'
import { ServiceError } from './errors.ts'

/** A moment on the process's monotonic clock (`performance.now()`): a change of the wall clock does not move it. */
export type Deadline = { readonly atMs: number }

/** The longest wait a timer of Node can hold. */
const timerMsMax = 2 ** 31 - 1

/** The deadline that lies `timeoutMs` ahead. */
function deadlineIn(timeoutMs: number): Deadline {
  return { atMs: performance.now() + timeoutMs }
}

/** Milliseconds until the deadline under way, at least 0; `Infinity` where nobody waits. */
export function remainingMs(): number {
  const deadline = currentContext()?.deadline
  return deadline ? Math.max(0, deadline.atMs - performance.now()) : Number.POSITIVE_INFINITY
}

/** How long a call to someone else may take: what the edge declares, and never more than what remains. */
export function callTimeoutMs(declaredMs: number): number {
  return Math.min(declaredMs, remainingMs())
}

/**
 * Runs work that has `timeoutMs` at most, and less where less remains. When the time is up, or the caller of the
 * surrounding request goes away, the signal aborts and the returned promise rejects at once, even if the work does not listen.
 * @throws ServiceError `deadline-exceeded`
 */
export async function withDeadline<T>(timeoutMs: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const outer = currentContext()
  const timer = startTimer(callTimeoutMs(timeoutMs), outer?.signal)
  const context = {
    correlationId: acceptCorrelationId(outer?.correlationId),
    deadline: timer.deadline,
    signal: timer.signal,
  }
  try {
    return await abortable(
      timer.signal,
      runInContext(context, () => run(timer.signal)),
    )
  } finally {
    timer.clear()
  }
}

/** A running deadline: its signal aborts when time is up or `abort` is called, and `clear` ends it without either. */
export type DeadlineTimer = {
  readonly deadline: Deadline | null
  readonly signal: AbortSignal
  abort(reason: ServiceError): void
  clear(): void
}

/** Starts a deadline; `Infinity` starts none, so that only `abort` and the outer signal end the work. */
export function startTimer(timeoutMs: number, outer?: AbortSignal): DeadlineTimer {
  const controller = new AbortController()
  const expire = () => controller.abort(deadlineExceeded(timeoutMs))
  const bounded = Number.isFinite(timeoutMs)
  const timer = bounded ? setTimeout(expire, Math.min(timeoutMs, timerMsMax)) : undefined
  const follow = () => controller.abort(outer?.reason)
  if (outer?.aborted) follow()
  else outer?.addEventListener('abort', follow, { once: true })
  return {
    deadline: bounded ? deadlineIn(timeoutMs) : null,
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    clear() {
      clearTimeout(timer)
      outer?.removeEventListener('abort', follow)
    },
  }
}

/** Settles as the promise does, or rejects with the signal's reason as soon as it aborts. */
export function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  if (signal.aborted) {
    // The work may still fail later; its answer is of no use to anyone.
    promise.catch(() => undefined)
    return Promise.reject(signal.reason)
  }
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function deadlineExceeded(timeoutMs: number): ServiceError {
  return new ServiceError('deadline-exceeded', `No answer within ${Math.round(timeoutMs)} ms.`)
}
