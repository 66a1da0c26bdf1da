import type { Plan } from '#plan/plan.ts'
import type { Site } from '#providers/cluster.ts'
import type { Dashboard, Panel, Row } from './panel.ts'

/** How events and tasks travel: what waits, how long, and what was put aside. */
export function messagingDashboard(site: Site, { topics, queues }: Plan): Dashboard {
  return {
    uid: `${site.system}-messaging`,
    title: `${site.system}: messaging`,
    tags: [site.system],
    variables: [],
    rows: [
      ...(topics.length > 0 ? [publishing(site), consuming(site), brokers(site)] : []),
      ...(queues.length > 0 ? [tasks(site)] : []),
    ],
  }
}

function publishing({ namespace }: Site): Row {
  return {
    title: 'Events on their way out',
    panels: [
      panel(
        'Age of the outbox',
        's',
        `max by (service, destination) (parley_outbox_age_seconds{namespace="${namespace}"})`,
        '{{service}}: {{destination}}',
        'How long the oldest event waits to be published.',
      ),
      panel(
        'Depth of the outbox',
        'short',
        `sum by (service, destination) (parley_outbox_depth{namespace="${namespace}"})`,
        '{{service}}: {{destination}}',
        'Events that wait to be published.',
      ),
      panel(
        'Published',
        'cps',
        `sum by (service, destination) (rate(messaging_client_sent_messages_total{namespace="${namespace}"}[5m]))`,
        '{{service}}: {{destination}}',
        'Confirmed by the broker, a second.',
      ),
      panel(
        'Refused by the broker',
        'short',
        `sum by (service, destination) (increase(parley_outbox_refused_total{namespace="${namespace}"}[1h]))`,
        '{{service}}: {{destination}}',
        'Set aside in the outbox within the hour: somebody must look at each.',
      ),
    ],
  }
}

function consuming({ namespace }: Site): Row {
  const process = `messaging_process_duration_seconds_bucket{namespace="${namespace}"}`
  return {
    title: 'Events on their way in',
    panels: [
      panel(
        'Lag',
        'short',
        `sum by (consumergroup, topic) (kafka_consumergroup_lag{namespace="${namespace}"})`,
        '{{consumergroup}}: {{topic}}',
        'Events that a group has still to handle, as the brokers count them.',
      ),
      panel(
        'From commit to arrival',
        's',
        `histogram_quantile(0.99, sum by (service, destination, le) (rate(parley_messaging_delay_seconds_bucket{namespace="${namespace}"}[5m])))`,
        '{{service}}: {{destination}}',
        'The slowest in a hundred.',
      ),
      panel(
        'Handled',
        'cps',
        `sum by (service, destination, outcome) (rate(messaging_client_consumed_messages_total{namespace="${namespace}"}[5m]))`,
        '{{service}}: {{destination}} {{outcome}}',
        'A second, by how it went.',
      ),
      panel(
        'Handling',
        's',
        `histogram_quantile(0.99, sum by (service, destination, le) (rate(${process}[5m])))`,
        '{{service}}: {{destination}}',
        'From delivery to acknowledgement, the slowest in a hundred.',
      ),
    ],
  }
}

function brokers({ namespace }: Site): Row {
  return {
    title: 'Kafka',
    panels: [
      panel(
        'Dead letters',
        'short',
        `sum by (topic) (delta(kafka_topic_partition_current_offset{namespace="${namespace}",topic=~".*dead-letter"}[1h]))`,
        '{{topic}}',
        'Events that were put aside within the hour.',
      ),
      panel(
        'Partitions that lack a replica',
        'short',
        `sum(kafka_server_replicamanager_underreplicatedpartitions{namespace="${namespace}"})`,
        'partitions',
        'Above zero for long, one more broker down is an outage.',
      ),
    ],
  }
}

function tasks({ namespace, system }: Site): Row {
  const labels = `namespace="${namespace}",vhost="${system}"`
  return {
    title: 'RabbitMQ',
    panels: [
      panel(
        'Waiting',
        'short',
        `sum by (queue) (rabbitmq_detailed_queue_messages_ready{${labels}})`,
        '{{queue}}',
        'Tasks in each queue; those of dead letters wait for somebody.',
      ),
      panel(
        'Under way',
        'short',
        `sum by (queue) (rabbitmq_detailed_queue_messages_unacked{${labels}})`,
        '{{queue}}',
        'Delivered and not acknowledged.',
      ),
    ],
  }
}

function panel(title: string, unit: string, expr: string, legend: string, description: string): Panel {
  return { title, description, unit, queries: [{ expr, legend }] }
}
