import type { Alert } from '#plan/alerts.ts'
import type { Plan } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import type { Site } from '#providers/cluster.ts'
import { grpcFailures, matching, quoted, window } from './metrics.ts'
import { type AlertRule, type RecordRule, told } from './rule.ts'

type Of<Kind extends Alert['kind']> = Extract<Alert, { kind: Kind }>

/** A short window stops the alert soon after the fault is over: a twelfth of the long one, as in the SRE workbook. */
const shortShare = 12
/** Percentiles of a handful of requests say nothing. */
const requestsPerSecondMin = 0.1

/**
 * The budget of errors goes too fast, over a long window and over a short one. Inside, callers judge, since a service that
 * is gone counts none of its own failures; what is exposed is judged by itself, as its callers are outside: see `goneRule`.
 */
export function availabilityRule(site: Site, slice: ServiceSlice, alert: Of<'availability-burn'>): AlertRule {
  const { service, objective, burnRate, windowMinutes, severity } = alert
  const limit = Number((burnRate * (1 - objective)).toPrecision(6))
  const judge = slice.calledBy.length > 0 && slice.exposures.length === 0 ? 'call' : 'server'
  const labels = matching({ namespace: site.namespace, service })
  const above = (minutes: number) => `parley:${judge}_errors:ratio_rate${window(minutes)}${labels} > ${limit}`
  return {
    alert: 'ServiceBurnsErrorBudget',
    expr: `${above(windowMinutes)} and on (service) ${above(windowMinutes / shortShare)}`,
    ...told(
      site,
      { service, severity, about: { window: window(windowMinutes) } },
      {
        summary: `${service} fails more often than its objective of ${percent(objective)} allows`,
        description: `{{ $value | humanizePercentage }} of calls failed over ${window(windowMinutes)}, ${burnRate} times the rate at which a month's budget would last.`,
        runbook: 'a-service-burns-its-error-budget',
      },
    ),
  }
}

/** Not one replica answers. A roll-out always leaves some. */
export function goneRule(site: Site, { service, severity }: Of<'service-gone'>): AlertRule {
  const labels = matching({ namespace: site.namespace, deployment: service })
  return {
    alert: 'ServiceGone',
    expr: `kube_deployment_status_replicas_available${labels} == 0`,
    for: '2m',
    ...told(
      site,
      { service, severity },
      {
        summary: `${service} is gone`,
        description: 'For two minutes not one replica has been ready.',
        runbook: 'a-service-is-gone',
      },
    ),
  }
}

/** Answers are slower than declared. Streams are left out: they last as long as their caller likes. */
export function latencyRule(site: Site, slice: ServiceSlice, { service, p99Ms, severity }: Of<'latency'>): AlertRule {
  const grpc = slice.service.protocol === 'grpc'
  const metric = grpc ? 'rpc_server_call_duration_seconds' : 'http_server_request_duration_seconds'
  const streams = slice.service.apis.flatMap(({ methods }) => methods.filter(({ streaming }) => streaming))
  const unary = streams.length > 0 ? `,rpc_method!~${quoted(streams.map(({ path }) => path.slice(1)).join('|'))}` : ''
  const labels = matching({ namespace: site.namespace, service }).replace('}', `${unary}}`)
  return {
    alert: 'ServiceSlow',
    expr:
      `histogram_quantile(0.99, sum by (service, le) (rate(${metric}_bucket${labels}[5m]))) > ${p99Ms / 1_000}` +
      ` and on (service) sum by (service) (rate(${metric}_count${labels}[5m])) > ${requestsPerSecondMin}`,
    for: '10m',
    ...told(
      site,
      { service, severity },
      {
        summary: `${service} answers slower than its objective of ${p99Ms} ms`,
        description: 'One call in a hundred takes {{ $value | humanizeDuration }} or longer.',
        runbook: 'a-service-is-slow',
      },
    ),
  }
}

/** The shares of failures that the alerts ask for, over each of their windows: of what services answered, and of what callers got. */
export function errorRatios(site: Site, { alerts }: Pick<Plan, 'alerts'>): readonly RecordRule[] {
  const minutes = alerts.flatMap((alert) =>
    alert.kind === 'availability-burn' ? [alert.windowMinutes, alert.windowMinutes / shortShare] : [],
  )
  return [...new Set(minutes)].sort((a, b) => a - b).flatMap((one) => ratiosOver(site, window(one)))
}

function ratiosOver({ namespace }: Site, over: string): readonly RecordRule[] {
  const ratio = (metric: string, failed: string, by: string) => {
    const sum = (labels: string) => `sum by (${by}) (rate(${metric}_count{${labels}}[${over}]))`
    const all = `namespace=${quoted(namespace)}`
    // A metric of failures that is not there yet is none, as long as there are calls.
    return `(${sum(`${all},${failed}`)} or 0 * ${sum(all)}) / ${sum(all)}`
  }
  const called = (expr: string) => `label_replace(${expr}, "service", "$1", "server_address", "(.*)")`
  const grpc = `rpc_response_status_code=~${quoted(grpcFailures)}`
  const of5xx = (status: string) => `http_response_status_code=~${quoted(status)}`
  const served = 'namespace, service'
  const asked = 'namespace, server_address'
  return [
    {
      record: `parley:server_errors:ratio_rate${over}`,
      expr: `${ratio('rpc_server_call_duration_seconds', grpc, served)} or ${ratio('http_server_request_duration_seconds', of5xx('5..'), served)}`,
    },
    {
      record: `parley:call_errors:ratio_rate${over}`,
      // A call over HTTP that got no answer at all has no status.
      expr: called(
        `${ratio('rpc_client_call_duration_seconds', grpc, asked)} or ${ratio('http_client_request_duration_seconds', of5xx('5..|'), asked)}`,
      ),
    },
  ]
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(6))} %`
}
