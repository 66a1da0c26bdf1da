import { context, SpanKind } from '@opentelemetry/api'
import type { Closable } from '../app/admin.ts'
import type { App } from '../app/lifecycle.ts'
import { every } from '../app/timer.ts'
import { runAsMessage } from '../context.ts'
import { isPassing } from '../store/errors.ts'
import { metric } from '../telemetry/semantics.ts'
import { extractTrace, gauge, inSpan } from '../telemetry/telemetry.ts'
import type { Orchestrator } from './orchestrator.ts'
import { type DueSaga, due, postpone, prune, unfinished } from './store.ts'

/** An orchestrator, whatever starts its sagas. */
type Watched = Pick<Orchestrator<never>, 'course' | 'database' | 'wake'>

/** How often a replica looks for sagas whose time has come. */
const pollMsDefault = 500
const atOnceMax = 100
const afterFailureMs = 30_000
const keepMs = 30 * 86_400_000
const pruneEveryMs = 3_600_000

/**
 * Keeps the time of an orchestrator's sagas: asks again for what is not answered, turns back what takes too long, notices what is
 * stuck, and forgets after thirty days what has ended. Replicas may all do it at once: each saga that is due is taken under its
 * row's lock, in the transaction of the decision, so that whoever comes second finds it done, and a replica that stands
 * still or loses its connection has decided nothing.
 */
export async function watchSagas(
  app: Pick<App, 'log'>,
  sagas: Watched,
  { pollMs = pollMsDefault }: { readonly pollMs?: number } = {},
): Promise<Closable> {
  const { database, course } = sagas
  let closed = false
  const waking = await every(pollMs, app, async () => {
    // After an outage all are due at once. Where nothing of a page was had, another replica is at it.
    for (let woken = atOnceMax; woken > 0 && !closed; ) {
      const found = await due(database, course.name, atOnceMax)
      woken = 0
      for (const each of found) if (await wakeOne(app, sagas, each)) woken += 1
      if (found.length < atOnceMax) return
    }
  })
  const pruning = await every(pruneEveryMs, app, () => prune(database, course.name, keepMs))
  const saga = course.name
  const forgetAge = gauge(metric.sagaAge, 's', async () => {
    const { oldestSeconds } = await unfinished(database, saga)
    return [{ value: oldestSeconds, attributes: { saga } }]
  })
  const forgetStuck = gauge(metric.sagasStuck, '1', async () => {
    const { stuck } = await unfinished(database, saga)
    return [{ value: stuck, attributes: { saga } }]
  })
  return {
    async close() {
      closed = true
      forgetAge()
      forgetStuck()
      await Promise.all([waking.close(), pruning.close()])
    },
  }
}

/** In the trace and with the correlation id of whoever started the saga. One that fails does not keep the others waiting. */
async function wakeOne(
  { log }: Pick<App, 'log'>,
  { database, course, wake }: Watched,
  { saga_id: sagaId, correlation_id: correlationId, traceparent }: DueSaga,
): Promise<boolean> {
  const parent = traceparent === null ? context.active() : extractTrace({ traceparent })
  try {
    return await runAsMessage(correlationId, () =>
      inSpan(`saga ${course.name} due`, { kind: SpanKind.INTERNAL, parent }, () => wake(sagaId)),
    )
  } catch (error) {
    // That says nothing of this saga: the next turn is soon enough.
    if (isPassing(error)) throw error
    log.error('A saga that is due could not be looked at; it is tried again.', { saga: course.name, sagaId, error })
    await postpone(database, course.name, sagaId, afterFailureMs)
    return false
  }
}
