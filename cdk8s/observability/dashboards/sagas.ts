import type { Plan, PlannedSaga, Subscription } from '#plan/plan.ts'
import type { Site } from '#providers/cluster.ts'
import { literal } from '../metrics.ts'
import { sagaSubscriptions } from '../sagas.ts'
import type { Dashboard, Row } from './panel.ts'

/** How far sagas come, a dashboard each: what waits before its steps, what is not published, and what was put aside. */
export function sagaDashboards(site: Site, plan: Plan): readonly Dashboard[] {
  const subscriptionsOf = sagaSubscriptions(plan)
  return plan.sagas.map((saga) => ({
    uid: `${site.system}-saga-${saga.name}`,
    title: `${site.system}: saga ${saga.name}`,
    tags: [site.system],
    variables: [],
    rows: [rowOf(site, subscriptionsOf(saga), saga)],
  }))
}

function rowOf({ namespace }: Site, steps: readonly Subscription[], saga: PlannedSaga): Row {
  const oneOf = (names: readonly string[]) => JSON.stringify([...new Set(names)].sort().map(literal).join('|'))
  const groups = `namespace="${namespace}",consumergroup=~${oneOf(steps.map(({ group }) => group))},topic=~${oneOf(steps.map(({ topic }) => topic))}`
  const services = oneOf(saga.steps.map(({ service }) => service))
  const dead = oneOf(steps.flatMap(({ deadLetterTopic }) => deadLetterTopic ?? []))
  return {
    title: `By ${saga.style}, within ${saga.timeoutMs / 1_000} s, no way back after ${saga.pointOfNoReturn}`,
    panels: [
      {
        title: 'Events before its steps',
        description: 'What each step has still to take up.',
        unit: 'short',
        queries: [
          {
            expr: `sum by (consumergroup, topic) (kafka_consumergroup_lag{${groups}})`,
            legend: '{{consumergroup}}: {{topic}}',
          },
        ],
      },
      {
        title: 'Events taken up',
        description: 'A second. A step that stands still holds up all after it.',
        unit: 'cps',
        queries: [
          {
            expr: `sum by (consumergroup, topic) (rate(kafka_consumergroup_current_offset{${groups}}[5m]))`,
            legend: '{{consumergroup}}: {{topic}}',
          },
        ],
      },
      {
        title: 'Not published yet',
        description: 'The oldest event of each service that takes part.',
        unit: 's',
        queries: [
          {
            expr: `max by (service, destination) (parley_outbox_age_seconds{namespace="${namespace}",service=~${services}})`,
            legend: '{{service}}: {{destination}}',
          },
        ],
      },
      {
        title: 'Put aside',
        description: 'Within the hour. A saga whose event was put aside ends only when somebody replays it.',
        unit: 'short',
        queries: [
          {
            expr: `sum by (topic) (delta(kafka_topic_partition_current_offset{namespace="${namespace}",topic=~${dead}}[1h]))`,
            legend: '{{topic}}',
          },
        ],
      },
    ],
  }
}
