import type { Plan, PlannedService } from './plan.ts'

/** What somebody must be told of, by the declaration's objectives and edges. Providers of alerting render these. */
export type Alert =
  | {
      readonly kind: 'availability-burn'
      readonly service: string
      readonly objective: number
      readonly windowMinutes: number
      readonly burnRate: number
      readonly severity: Severity
    }
  | { readonly kind: 'service-gone'; readonly service: string; readonly severity: Severity }
  | { readonly kind: 'latency'; readonly service: string; readonly p99Ms: number; readonly severity: Severity }
  | {
      readonly kind: 'consumer-lag'
      readonly service: string
      readonly topic: string
      readonly group: string
      readonly recordsMax: number
      readonly severity: Severity
    }
  | {
      readonly kind: 'dead-letter'
      readonly service: string
      readonly destination: string
      readonly severity: Severity
    }
  | { readonly kind: 'outbox-age'; readonly service: string; readonly ageMsMax: number; readonly severity: Severity }
  | { readonly kind: 'read-model'; readonly service: string; readonly lagMsMax: number; readonly severity: Severity }
  | {
      readonly kind: 'webhook-late'
      readonly service: string
      readonly webhook: string
      readonly lateMsMax: number
      readonly severity: Severity
    }
  /** `to` is a service or an external, whose names differ. */
  | { readonly kind: 'breaker-open'; readonly from: string; readonly to: string; readonly severity: Severity }
  | {
      readonly kind: 'saga-stuck'
      readonly saga: string
      readonly service: string
      readonly timeoutMs: number
      readonly severity: Severity
    }

/** Whether somebody is woken, or reads it in the morning. */
export type Severity = 'page' | 'ticket'

/**
 * Derives the alerts. Availability burns by the two windows of the SRE workbook: 14.4 times too fast over an hour
 * wakes somebody (2 % of a month's budget gone), 6 times over six hours likewise (5 %), once over three days is read.
 */
export function deriveAlerts(
  plan: Pick<
    Plan,
    'services' | 'links' | 'egress' | 'subscriptions' | 'queues' | 'stores' | 'sagas' | 'topics' | 'webhooks'
  >,
): Alert[] {
  const publishers = new Set(plan.topics.filter(({ kind }) => kind === 'events').map(({ owner }) => owner))
  return [
    // Who is exposed, and who only takes up events, has no callers inside that would count its failures.
    ...plan.services.map(({ name }): Alert => ({ kind: 'service-gone', service: name, severity: 'page' })),
    ...plan.services.filter(({ protocol }) => protocol).flatMap(objectiveAlerts),
    ...plan.links.map(({ from, to }): Alert => ({ kind: 'breaker-open', from, to, severity: 'ticket' })),
    ...plan.egress.map(
      ({ from, external }): Alert => ({ kind: 'breaker-open', from, to: external, severity: 'ticket' }),
    ),
    ...plan.subscriptions.flatMap(({ service, topic, group, deadLetterTopic }): Alert[] => [
      { kind: 'consumer-lag', service, topic, group, recordsMax: 10_000, severity: 'ticket' },
      ...deadLetterAlert(service, deadLetterTopic),
    ]),
    ...plan.queues.flatMap(({ worker, deadLetterQueue }) => deadLetterAlert(worker, deadLetterQueue)),
    ...plan.stores
      .filter(({ owner }) => publishers.has(owner))
      .map(({ owner }): Alert => ({ kind: 'outbox-age', service: owner, ageMsMax: 30_000, severity: 'page' })),
    ...plan.stores.map(
      ({ owner }): Alert => ({
        kind: 'read-model',
        service: owner,
        lagMsMax: 60_000,
        severity: 'ticket',
      }),
    ),
    ...plan.webhooks.map(
      ({ name, service }): Alert => ({
        kind: 'webhook-late',
        service,
        webhook: name,
        lateMsMax: 60_000,
        severity: 'ticket',
      }),
    ),
    ...plan.sagas.map(
      ({ name, owner, timeoutMs }): Alert => ({
        kind: 'saga-stuck',
        saga: name,
        service: owner,
        timeoutMs,
        severity: 'page',
      }),
    ),
  ]
}

function objectiveAlerts({ name, objective }: PlannedService): Alert[] {
  const burn = (windowMinutes: number, burnRate: number, severity: Severity): Alert => ({
    kind: 'availability-burn',
    service: name,
    objective: objective.availability,
    windowMinutes,
    burnRate,
    severity,
  })
  return [
    burn(60, 14.4, 'page'),
    burn(360, 6, 'page'),
    burn(4_320, 1, 'ticket'),
    { kind: 'latency', service: name, p99Ms: objective.p99Ms, severity: 'ticket' },
  ]
}

function deadLetterAlert(service: string, destination: string | null): Alert[] {
  return destination ? [{ kind: 'dead-letter', service, destination, severity: 'ticket' }] : []
}
