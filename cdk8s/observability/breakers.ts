import type { Alert } from '#plan/alerts.ts'
import type { PlannedExternal } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { externalPort, hostOf, outsideNamespace, ports, reachOf, type Site, standsIn } from '#providers/cluster.ts'
import { literal, matching, quoted } from './metrics.ts'
import { type AlertRule, told } from './rule.ts'

/** A caller's proxy turned calls away. Null where the mesh has no breaker for the edge, and without a mesh. */
export function breakerRule(
  site: Site,
  { egress }: Pick<ServiceSlice, 'egress'>,
  { from, to, severity }: Extract<Alert, { kind: 'breaker-open' }>,
): AlertRule | null {
  const external = egress.find((one) => one.external.name === to)?.external
  const callee = external === undefined ? serviceCallee(site, to) : externalCallee(site, external)
  const expr = callee && breakerOpen(site, { service: from }, callee)
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

/** A callee as proxies call it in their statistics: Istio's by host and port, Linkerd's by the Service. */
type Callee = { readonly host: string; readonly port: number; readonly name: string; readonly namespace: string }

function serviceCallee(site: Site, name: string): Callee {
  return { host: hostOf(site, name), port: ports.app, name, namespace: site.namespace }
}

/** Istio has one for every system outside, Linkerd for Services alone: those of stand-ins that speak HTTP. */
function externalCallee(site: Site, external: PlannedExternal): Callee | null {
  const { name, host, protocol } = external
  const played = standsIn(site, external)
  if (site.mesh === 'linkerd' && !(played && protocol === 'http')) return null
  // Over TCP a stand-in is reached as the Service that it is; a request over HTTP names its host.
  const known = played && protocol === 'tcp' ? reachOf(site, external).host : host
  return { host: known, port: externalPort(external), name, namespace: outsideNamespace(site) }
}

/**
 * Where a breaker is open now, or was since the last few scrapes: it may have opened and closed between two of them.
 * `from` are labels of the caller, `to` a callee or null for all of them. Null without a mesh.
 */
export function breakerOpen(site: Site, from: Readonly<Record<string, string>>, to: Callee | null): string | null {
  const { namespace } = site
  switch (site.mesh) {
    case 'istio': {
      const name = to === null ? '.*' : `${to.port}\\|.*\\|${literal(to.host)}`
      const cluster = `cluster_name=~${quoted(`outbound\\|${name}`)}`
      const labels = matching({ namespace, ...from }).replace('}', `,${cluster}}`)
      const of = (name: string) => `envoy_cluster_outlier_detection_ejections_${name}${labels}`
      const by = (expr: string) => `sum by (service, cluster_name) (${expr}) > 0`
      return `${by(of('active'))} or ${by(`increase(${of('enforced_total')}[5m])`)}`
    }
    case 'linkerd': {
      const backend = to === null ? {} : { backend_name: to.name, backend_namespace: to.namespace }
      const labels = (state: string) => matching({ namespace, ...from, ...backend, endpoint_state: state })
      const of = (state: string) => `sum by (service, backend_name) (outbound_http_balancer_endpoints${labels(state)})`
      // An endpoint whose breaker is open is pending, as one is that is just being connected to: but that does not last.
      return `min_over_time((${of('pending')})[30s:15s]) > 0 and on (service, backend_name) ${of('ready')} == 0`
    }
    case 'none':
      return null
  }
}
