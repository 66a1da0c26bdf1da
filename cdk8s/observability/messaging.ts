import type { Alert } from '#plan/alerts.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import type { Site } from '#providers/cluster.ts'
import { matching } from './metrics.ts'
import { type AlertRule, told } from './rule.ts'

type Of<Kind extends Alert['kind']> = Extract<Alert, { kind: Kind }>

/** A group falls behind. The brokers tell, since consumers that are gone tell nothing. */
export function lagRule(site: Site, { service, topic, group, recordsMax, severity }: Of<'consumer-lag'>): AlertRule {
  const labels = matching({ namespace: site.namespace, consumergroup: group, topic })
  return {
    alert: 'ConsumerFallsBehind',
    expr: `sum by (consumergroup, topic) (kafka_consumergroup_lag${labels}) > ${recordsMax}`,
    for: '5m',
    ...told(
      site,
      { service, severity, about: { topic, consumergroup: group } },
      {
        summary: `${service} falls behind on ${topic}`,
        description: `{{ $value | humanize }} events of ${topic} wait for the group ${group}.`,
        runbook: 'a-consumer-falls-behind',
      },
    ),
  }
}

/**
 * Something was put aside. A topic of dead letters keeps what was replayed, so its growth tells. What comes into a queue of dead
 * letters its worker keeps and counts until somebody decides; what lies there longer, nobody has fetched. All are there
 * before the first dead letter is, and count it.
 */
export function deadLetterRule(
  site: Site,
  { works }: ServiceSlice,
  { service, destination, severity }: Of<'dead-letter'>,
): AlertRule {
  const { namespace } = site
  const queue = works.find(({ deadLetterQueue }) => deadLetterQueue === destination)
  const expr = queue
    ? [
        `max by (destination) (parley_dead_letters_waiting${matching({ namespace, service, destination: queue.name })}) > 0`,
        `max by (queue) (rabbitmq_detailed_queue_messages_ready${matching({ namespace, vhost: site.system, queue: destination })}) > 0`,
      ].join(' or ')
    : deadLetterGrowth(site, destination, '1h')
  return {
    alert: 'DeadLetters',
    expr,
    ...told(
      site,
      { service, severity, about: { destination } },
      {
        summary: `${service} put messages aside that it could not handle`,
        description: `{{ $value | humanize }} messages came into ${destination}${queue ? ' and wait for a decision' : ' within an hour'}.`,
        runbook: 'messages-became-dead-letters',
      },
    ),
  }
}

/** How many events came into a topic of dead letters; nothing where none did. */
export function deadLetterGrowth({ namespace }: Site, topic: string, over: string): string {
  const labels = matching({ namespace, topic })
  return `sum by (topic) (delta(kafka_topic_partition_current_offset${labels}[${over}])) > 0`
}

/** Committed events wait to be published: the relay, the broker or the way between is broken. */
export function outboxRule(site: Site, { service, ageMsMax, severity }: Of<'outbox-age'>): AlertRule {
  const labels = matching({ namespace: site.namespace, service })
  return {
    alert: 'OutboxWaits',
    expr: `max by (service, destination) (parley_outbox_age_seconds${labels}) > ${ageMsMax / 1_000}`,
    for: '1m',
    ...told(
      site,
      { service, severity },
      {
        summary: `Events of ${service} are not published`,
        description: 'The oldest for {{ $labels.destination }} has waited {{ $value | humanizeDuration }}.',
        runbook: 'an-outbox-waits',
      },
    ),
  }
}

/** A read model is behind its service's own events, or holds some back that it could not apply. Says nothing where none is. */
export function readModelRule(site: Site, { service, lagMsMax, severity }: Of<'read-model'>): AlertRule {
  const labels = matching({ namespace: site.namespace, service, state: 'active' })
  const by = 'max by (service, projection)'
  return {
    alert: 'ReadModelBehind',
    expr: `${by} (parley_projection_parked${labels}) > 0 or ${by} (parley_projection_lag_seconds${labels}) > ${lagMsMax / 1_000}`,
    for: '1m',
    ...told(
      site,
      { service, severity },
      {
        summary: `A read model of ${service} shows less than the truth`,
        description: '{{ $labels.projection }} has parked events, or is behind by more than its bound: {{ $value }}.',
        runbook: 'a-read-model-is-behind',
      },
    ),
  }
}

/** Subscribers are not told though nothing hinders it: nobody delivers. One that is slow, failing or paused is no reason. */
export function webhookRule(site: Site, { service, webhook, lateMsMax, severity }: Of<'webhook-late'>): AlertRule {
  const labels = matching({ namespace: site.namespace, service, webhook })
  return {
    alert: 'WebhooksLate',
    expr: `max by (service, webhook) (parley_webhook_lateness_seconds${labels}) > ${lateMsMax / 1_000}`,
    for: '1m',
    ...told(
      site,
      { service, severity },
      {
        summary: `Subscribers of ${webhook} are not told`,
        description: 'A delivery that nobody is at is {{ $value | humanizeDuration }} past its time.',
        runbook: 'webhooks-are-late',
      },
    ),
  }
}
