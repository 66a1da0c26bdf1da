import type { Alert } from '#plan/alerts.ts'
import { hostOf, ports, type Site } from '#providers/cluster.ts'
import { literal, matching, quoted } from './metrics.ts'
import { type AlertRule, told } from './rule.ts'

/** A caller's proxy turned calls away. Null without a mesh, which has no breakers. */
export function breakerRule(
  site: Site,
  { from, to, severity }: Extract<Alert, { kind: 'breaker-open' }>,
): AlertRule | null {
  const expr = breakerOpen(site, { service: from }, to)
  if (expr === null) return null
  return {
    alert: 'BreakerOpen',
    expr,
    ...told(
      site,
      { service: from, severity, about: { callee: to } },
      {
        summary: `${from} turned calls to ${to} away: the breaker is open`,
        description: `${to} failed as often in a row as its callers bear. Calls pass again when the breaker lets one through and it goes well.`,
        runbook: 'a-breaker-is-open',
      },
    ),
  }
}

/**
 * Where a breaker is open now, or was since the last few scrapes: it may have opened and closed between two of them.
 * `from` are labels of the caller, `to` a callee or null for all of them. Null without a mesh.
 */
export function breakerOpen(
  { namespace, mesh }: Site,
  from: Readonly<Record<string, string>>,
  to: string | null,
): string | null {
  switch (mesh) {
    case 'istio': {
      const host = to === null ? '.*' : literal(hostOf({ namespace }, to))
      const cluster = `cluster_name=~${quoted(`outbound\\|${ports.app}\\|.*\\|${host}`)}`
      const labels = matching({ namespace, ...from }).replace('}', `,${cluster}}`)
      const of = (name: string) => `envoy_cluster_outlier_detection_ejections_${name}${labels}`
      const by = (expr: string) => `sum by (service, cluster_name) (${expr}) > 0`
      return `${by(of('active'))} or ${by(`increase(${of('enforced_total')}[5m])`)}`
    }
    case 'linkerd': {
      const backend = to === null ? {} : { backend_name: to }
      const labels = (state: string) =>
        matching({ namespace, ...from, ...backend, backend_namespace: namespace, endpoint_state: state })
      const of = (state: string) => `sum by (service, backend_name) (outbound_http_balancer_endpoints${labels(state)})`
      // An endpoint whose breaker is open is pending, as one is that is just being connected to: but that does not last.
      return `min_over_time((${of('pending')})[30s:15s]) > 0 and on (service, backend_name) ${of('ready')} == 0`
    }
    case 'none':
      return null
  }
}
