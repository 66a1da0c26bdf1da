import type { Alert } from '#plan/alerts.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import type { Site } from '#providers/cluster.ts'
import type { ServicePart } from '../component.ts'
import { breakerRule } from './breakers.ts'
import { deadLetterRule, lagRule, outboxRule, readModelRule, webhookRule } from './messaging.ts'
import { availabilityRule, goneRule, latencyRule } from './objectives.ts'
import { type AlertRule, prometheusRule } from './rule.ts'

/** What a service is alerted for, from its objectives and edges. */
export const alertRules: ServicePart = {
  wave: 'observability',
  render: (site, slice) => {
    const rules = slice.alerts.map((alert) => ruleOf(site, slice, alert)).filter((rule) => rule !== null)
    const { name } = slice.service
    return rules.length === 0 ? [] : [prometheusRule(site, name, [{ name: `${site.system}.${name}`, rules }])]
  },
}

function ruleOf(site: Site, slice: ServiceSlice, alert: Alert): AlertRule | null {
  switch (alert.kind) {
    case 'availability-burn':
      return availabilityRule(site, slice, alert)
    case 'service-gone':
      return goneRule(site, alert)
    case 'latency':
      return latencyRule(site, slice, alert)
    case 'consumer-lag':
      return lagRule(site, alert)
    case 'dead-letter':
      return deadLetterRule(site, slice, alert)
    case 'read-model':
      return readModelRule(site, alert)
    case 'outbox-age':
      return outboxRule(site, alert)
    case 'webhook-late':
      return webhookRule(site, alert)
    case 'breaker-open':
      return breakerRule(site, slice, alert)
    case 'saga-stuck':
      // A saga is of several services: see `sagas.ts`.
      return null
  }
}
