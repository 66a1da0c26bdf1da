import type { Plan, PlannedSaga, Subscription } from '#plan/plan.ts'
import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { deadLetterGrowth } from './messaging.ts'
import { literal, matching, quoted } from './metrics.ts'
import { errorRatios } from './objectives.ts'
import { type AlertRule, prometheusRule, told } from './rule.ts'

/** Prometheus must have looked a few times before it can say that nothing moved. */
const windowSecondsMin = 120

/** The rules of the system as a whole: shares of errors, which the alerts of services ask for, and sagas that are stuck. */
export const systemRules: SystemPart = {
  wave: 'observability',
  name: 'system.rules',
  // A dot in a name, which no service's has, keeps it from being another's.
  render: (site, plan) => {
    const ratios = errorRatios(site, plan)
    return [
      ...(ratios.length > 0
        ? [prometheusRule(site, 'system.rules', [{ name: `${site.system}.error-ratios`, rules: ratios }])]
        : []),
      ...sagaRules(site, plan),
    ]
  },
}

function sagaRules(site: Site, plan: Plan): readonly Manifest[] {
  const subscriptionsOf = sagaSubscriptions(plan)
  const sagas = new Map(plan.sagas.map((saga) => [saga.name, saga]))
  return plan.alerts.flatMap((alert) => {
    const saga = alert.kind === 'saga-stuck' ? sagas.get(alert.saga) : undefined
    if (!saga) return []
    const rules = [sagaRule(site, subscriptionsOf(saga), saga, alert.severity)]
    return [prometheusRule(site, `saga.${saga.name}`, [{ name: `${site.system}.saga.${saga.name}`, rules }])]
  })
}

/** Finds where a saga's events are taken up: the groups of its steps and compensations. */
export function sagaSubscriptions({
  subscriptions,
}: Pick<Plan, 'subscriptions'>): (saga: PlannedSaga) => readonly Subscription[] {
  const byService = Map.groupBy(subscriptions, ({ service }) => service)
  return ({ steps, owner }) => {
    // What a leader is told by an event, it takes up itself.
    const wanted = new Set(
      steps.flatMap(({ service, on, compensation, via }) =>
        [on, ...(compensation?.on ?? [])].map((event) => `${via === null ? service : owner} ${event}`),
      ),
    )
    const services = new Set([...steps.map(({ service }) => service), owner])
    return [...services]
      .flatMap((service) => byService.get(service) ?? [])
      .filter(({ service, messages }) => messages.some((message) => wanted.has(`${service} ${message}`)))
  }
}

/** Beyond its timeout a saga has this long to be undone. */
const undoSeconds = 15

/**
 * Its owner tells how long the oldest unfinished saga takes, and a leader which of them need somebody: that is exact. But an owner
 * that is gone tells nothing, and the first service of a choreography does not see the others' compensations. So three further
 * ways to be stuck for longer than it may last are looked for: an event is not published, not taken up, or was put aside.
 */
function sagaRule(site: Site, steps: readonly Subscription[], saga: PlannedSaga, severity: string): AlertRule {
  const { namespace } = site
  const { name, owner, timeoutMs } = saga
  const over = `${Math.max(windowSecondsMin, Math.ceil(timeoutMs / 1_000))}s`
  const services = [...new Set(saga.steps.map(({ service }) => service))].sort()
  const participants = matching({ namespace }).replace('}', `,service=~${quoted(services.map(literal).join('|'))}}`)
  const stalled = steps.map(({ topic, group }) => {
    const labels = matching({ namespace, consumergroup: group, topic })
    const waits = `min_over_time(kafka_consumergroup_lag${labels}[${over}]) > 0`
    const moves = `changes(kafka_consumergroup_current_offset${labels}[${over}]) == 0`
    return `${waits} and on (consumergroup, topic, partition) ${moves}`
  })
  const dead = steps.flatMap(({ deadLetterTopic }) =>
    deadLetterTopic ? [deadLetterGrowth(site, deadLetterTopic, over)] : [],
  )
  const own = matching({ namespace, service: owner, saga: name })
  const late = `max by (service, saga) (parley_saga_age_seconds${own}) > ${timeoutMs / 1_000 + undoSeconds}`
  const stuck = `max by (service, saga) (parley_saga_stuck${own}) > 0`
  const unpublished = `max by (service, destination) (parley_outbox_age_seconds${participants}) > ${timeoutMs / 1_000}`
  // Whoever leads by commands misses every reply itself.
  const ways = saga.replies === null ? [late, unpublished] : [late, stuck]
  return {
    alert: 'SagaStuck',
    expr: [...ways, ...stalled, ...dead].map((way) => `(${way})`).join(' or '),
    ...told(
      site,
      { service: owner, severity, about: { saga: name } },
      {
        summary: `The saga ${name} does not come to its end`,
        description: `It must within ${timeoutMs / 1_000} s. One takes longer or needs somebody, or an event of it is not published, not taken up, or was put aside: {{ $labels }}.`,
        runbook: 'a-saga-is-stuck',
      },
    ),
  }
}
