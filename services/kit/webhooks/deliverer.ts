import { context, type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { DeliveredWebhook, ServiceNode } from '#graph/service.ts'
import type { WebhookNode } from '#graph/webhook.ts'
import type { Closable } from '../app/admin.ts'
import { createBell } from '../app/bell.ts'
import type { App } from '../app/lifecycle.ts'
import { every } from '../app/timer.ts'
import { runAsMessage } from '../context.ts'
import { ServiceError } from '../errors.ts'
import { attribute, metric } from '../telemetry/semantics.ts'
import { counter, extractTrace, inSpan } from '../telemetry/telemetry.ts'
import { type Attempt, type AttemptOptions, attempt } from './attempt.ts'
import type { WebhookDatabase } from './endpoints.ts'
import { prune } from './log.ts'
import { watchWebhooks } from './metrics.ts'
import { type Claimed, claimDue, release, settle } from './queue.ts'
import { retryDelayMs } from './schedule.ts'
import { signatureHeaders } from './signature.ts'
import type { TargetPolicy } from './target.ts'

/** The bounds of a process that delivers, and what tests replace. */
export type DelivererOptions = {
  readonly policy: TargetPolicy
  /** Under way at once. Default 32. */
  readonly inFlightMax?: number
  /** How often it looks for what is due. Default 500. */
  readonly pollMs?: number
  /** How long the log is kept. Default: 30 days. */
  readonly keepMs?: number
  /** Attempts under way have this long to end when the process stops; the rest are begun anew by another. Default 5,000. */
  readonly drainMs?: number
  readonly clock?: () => Date
  readonly random?: () => number
}

/** Beyond the attempt itself: recording it, and a process that stands still for a moment. */
const leaseMarginMs = 30_000
const afterFailureMs = 1_000
const pruneEveryMs = 3_600_000

/**
 * Delivers what is queued, at least once: an attempt whose outcome was not recorded is made again under the same id. Replicas share the
 * work by the rows they lock, and no endpoint is asked by more at once than declared, whoever asks.
 */
export async function deliverWebhooks<S extends ServiceNode, W extends DeliveredWebhook<S> & WebhookNode>(
  app: Pick<App<S>, 'log' | 'node'>,
  node: W,
  database: WebhookDatabase,
  options: DelivererOptions,
): Promise<Closable> {
  const {
    inFlightMax = 32,
    pollMs = 500,
    drainMs = 5_000,
    keepMs = 30 * 86_400_000,
    clock = () => new Date(),
  } = options
  const bounds = { perEndpointMax: node.concurrentPerEndpointMax, leaseMs: node.timeoutMs + leaseMarginMs }
  const stopping = new AbortController()
  const underWay = new Set<Promise<void>>()
  const bell = createBell()
  const silence = database.onSignal(node.name, bell.ring)
  let closed = false

  const begin = (claimed: Claimed) => {
    const work = deliver(app, node, database, claimed, { ...options, clock }, stopping.signal)
      .catch((error: unknown) =>
        app.log.error('A delivery could not be recorded; it is made again when its lease ends.', {
          error,
          delivery: String(claimed.number),
        }),
      )
      .finally(() => {
        underWay.delete(work)
        bell.ring()
      })
    underWay.add(work)
  }
  const look = async () => {
    const free = inFlightMax - underWay.size
    const claimed = free > 0 ? await claimDue(database, node.name, { ...bounds, free }) : []
    for (const each of claimed) begin(each)
    if (claimed.length === 0 && !closed) await bell.wait(pollMs)
  }
  const looking = (async () => {
    while (!closed) {
      await look().catch(async (error: unknown) => {
        app.log.warn('What is to be delivered could not be read; it is tried again.', { error })
        if (!closed) await bell.wait(afterFailureMs)
      })
    }
  })()
  const pruning = await every(pruneEveryMs, app, async () => {
    const now = clock()
    await prune(database, node.name, new Date(now.getTime() - keepMs), now)
  })
  const forget = watchWebhooks(database, node.name, clock)

  return {
    async close() {
      closed = true
      bell.ring()
      silence()
      forget()
      await looking
      const timer = setTimeout(() => stopping.abort(new ServiceError('cancelled', 'The process stops.')), drainMs)
      await Promise.all(underWay)
      clearTimeout(timer)
      await pruning.close()
    },
  }
}

type Delivering = DelivererOptions & Pick<AttemptOptions, 'clock'>

/** One attempt, in the trace of what it tells of. */
async function deliver(
  { log }: Pick<App, 'log'>,
  node: WebhookNode,
  database: WebhookDatabase,
  claimed: Claimed,
  options: Delivering,
  stopping: AbortSignal,
): Promise<void> {
  const { correlationId, traceparent } = claimed
  const parent = traceparent === null ? context.active() : extractTrace({ traceparent })
  const work = async (span: Span) => {
    const made = await attemptOf(node, claimed, options)
    const retryInMs = retryDelayMs(node, claimed.attempts, (options.random ?? Math.random)(), made.retryAfterMs)
    if (made.status !== null) span.setAttribute(attribute.httpStatus, made.status)
    if (made.error !== '')
      span.setAttribute(attribute.errorType, made.error).setStatus({ code: SpanStatusCode.ERROR, message: made.reason })
    const { settled, health } = await settle(database, claimed, made, retryInMs)
    counter(metric.webhookAttempts).add(1, { webhook: node.name, outcome: made.error || 'delivered' })
    const about = {
      endpoint: claimed.endpointId,
      event: claimed.eventId,
      status: made.status,
      attempt: claimed.attempts,
    }
    if (settled === 'failed') log.warn('A webhook was given up.', { ...about, reason: made.reason })
    if (health && health.state !== 'active' && made.error !== '') {
      log.warn('An endpoint is not delivered to for now.', { ...about, state: health.state, reason: made.reason })
    }
  }
  try {
    const kind = SpanKind.CLIENT
    await runAsMessage(correlationId, () => inSpan(`webhook ${node.name}`, { kind, parent }, work), stopping)
  } catch (thrown) {
    if (!stopping.aborted) throw thrown
    await release(database, claimed, options.clock())
  }
}

async function attemptOf(node: WebhookNode, claimed: Claimed, options: Delivering): Promise<Attempt> {
  const { eventId, url, payload: body, secrets, attempts } = claimed
  const { policy, clock } = options
  if (attempts > node.attempts) {
    // Only attempts that nobody could record lead here, such as those that ended their process.
    const reason = `${node.attempts} attempts were begun; what came of the last is not known.`
    return { at: clock(), durationMs: 0, status: null, error: 'attempts-used-up', reason, excerpt: '', retryAfterMs: 0 }
  }
  const headers = signatureHeaders(eventId, clock(), body, secrets)
  return attempt(policy, { url, headers, body }, { timeoutMs: node.timeoutMs, clock })
}
