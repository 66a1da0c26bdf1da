import type { Plan, PlannedSaga } from '#plan/plan.ts'
import type { Site } from '#providers/cluster.ts'
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
  render: (site, plan) => {
    const ratios = errorRatios(site, plan)
    const sagas = plan.alerts.flatMap((alert) => {
      const saga = alert.kind === 'saga-stuck' ? plan.sagas.find(({ name }) => name === alert.saga) : undefined
      return saga ? [sagaRule(site, plan, saga, alert.severity)] : []
    })
    const groups = [
      { name: `${site.system}.error-ratios`, rules: ratios },
      { name: `${site.system}.sagas`, rules: sagas },
    ].filter(({ rules }) => rules.length > 0)
    // A dot, which no service's name has, keeps it from being another's.
    return groups.length === 0 ? [] : [prometheusRule(site, 'system.rules', groups)]
  },
}

/** Where a saga's events are taken up: the groups of its steps and compensations. */
export function sagaSubscriptions(
  { subscriptions }: Pick<Plan, 'subscriptions'>,
  { steps, owner }: PlannedSaga,
): Plan['subscriptions'] {
  const wanted = new Set(
    steps.flatMap(({ service, on, compensation }) => [`${service} ${on}`, `${service} ${compensation?.on}`]),
  )
  return subscriptions.filter(
    ({ service, messages }) =>
      messages.some((message) => wanted.has(`${service} ${message}`)) ||
      (service === owner && steps.every(({ on }) => on === null)),
  )
}

/**
 * A saga goes on by events alone, so there are three ways to be stuck for longer than it may last: an event is not
 * published, it is not taken up, or it was put aside.
 */
function sagaRule(site: Site, plan: Plan, saga: PlannedSaga, severity: string): AlertRule {
  const { namespace } = site
  const { name, owner, timeoutMs } = saga
  const over = `${Math.max(windowSecondsMin, Math.ceil(timeoutMs / 1_000))}s`
  const services = [...new Set(saga.steps.map(({ service }) => service))].sort()
  const participants = matching({ namespace }).replace('}', `,service=~${quoted(services.map(literal).join('|'))}}`)
  const steps = sagaSubscriptions(plan, saga)
  const stalled = steps.map(({ topic, group }) => {
    const labels = matching({ namespace, consumergroup: group, topic })
    const waits = `min_over_time(kafka_consumergroup_lag${labels}[${over}]) > 0`
    const moves = `changes(kafka_consumergroup_current_offset${labels}[${over}]) == 0`
    return `${waits} and on (consumergroup, topic, partition) ${moves}`
  })
  const dead = steps.flatMap(({ deadLetterTopic }) =>
    deadLetterTopic ? [deadLetterGrowth(site, deadLetterTopic, over)] : [],
  )
  const unpublished = `max by (service, destination) (parley_outbox_age_seconds${participants}) > ${timeoutMs / 1_000}`
  return {
    alert: 'SagaStuck',
    expr: [unpublished, ...stalled, ...dead].map((way) => `(${way})`).join(' or '),
    ...told(
      site,
      { service: owner, severity, about: { saga: name } },
      {
        summary: `The saga ${name} does not come to its end`,
        description: `It must within ${timeoutMs / 1_000} s. An event of it is not published, not taken up, or was put aside: {{ $labels }}.`,
        runbook: 'a-saga-is-stuck',
      },
    ),
  }
}
