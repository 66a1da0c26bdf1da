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
    rows: [endsOf(site, saga), rowOf(site, subscriptionsOf(saga), saga)],
  }))
}

/** What its owner tells: how long they take, how they end, and which need somebody. */
function endsOf({ namespace, system }: Site, { name, owner, replies, steps }: PlannedSaga): Row {
  const own = `namespace="${namespace}",service="${owner}",saga="${name}"`
  const age = {
    title: 'The oldest unfinished one',
    description: 'How long it has been under way; 0 where all have ended.',
    unit: 's',
    queries: [{ expr: `max(parley_saga_age_seconds{${own}})`, legend: 'age' }],
  }
  if (replies === null) return { title: `Led by nobody; ${owner} sees how they end`, panels: [age] }
  const queues = [...new Set([...steps.flatMap(({ via }) => via ?? []), replies])].sort().map(literal).join('|')
  return {
    title: `Led by ${owner}`,
    panels: [
      age,
      {
        title: 'Stuck',
        description: 'They need somebody: parley saga list --status stuck.',
        unit: 'short',
        queries: [{ expr: `max(parley_saga_stuck{${own}})`, legend: 'stuck' }],
      },
      {
        title: 'Ended',
        description: 'A second, by outcome.',
        unit: 'cps',
        queries: [{ expr: `sum by (outcome) (rate(parley_saga_ended_total{${own}}[5m]))`, legend: '{{outcome}}' }],
      },
      {
        title: 'From start to end',
        description: 'Half of them, and 99 of 100, are faster.',
        unit: 's',
        queries: ['0.5', '0.99'].map((quantile) => ({
          expr: `histogram_quantile(${quantile}, sum by (le, outcome) (rate(parley_saga_duration_seconds_bucket{${own}}[5m])))`,
          legend: `${quantile} {{outcome}}`,
        })),
      },
      {
        title: 'Commands and replies that wait',
        description: 'What participants have still to do, and the leader still to hear.',
        unit: 'short',
        queries: [
          {
            expr: `sum by (queue) (rabbitmq_detailed_queue_messages_ready{namespace="${namespace}",vhost="${system}",queue=~${JSON.stringify(queues)}})`,
            legend: '{{queue}}',
          },
        ],
      },
    ],
  }
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
