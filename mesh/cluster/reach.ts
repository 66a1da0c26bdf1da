import { hostOfExposure } from '#cdk8s/workloads/edge.ts'
import { pagedExternals, pageHost } from '#cdk8s/workloads/pages.ts'
import type { Plan } from '#plan/plan.ts'
import { observabilityNamespace, type Site, tracing } from '#providers/cluster.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'
import { fieldManager } from './inventory.ts'
import { hostPortOf, type KindConfig } from './kind-config.ts'

/** Where something is reached from this machine. */
export type Url = { readonly name: string; readonly url: string }

/** The windows that operators' charts open on kind, and Jaeger's, which its operator cannot open. */
const windows = [
  { name: 'jaeger', nodePort: 30686 },
  { name: 'prometheus', nodePort: 30090 },
  { name: 'grafana', nodePort: 30030 },
] as const

/**
 * Every URL that kind's ports lead to: the exposures through the edge, by plain HTTP as kind's edge answers it, and by HTTPS; the
 * pages of stand-ins; then Jaeger, Prometheus and Grafana. Pure.
 */
export function urlsOf(plan: Plan, site: Site, kind: KindConfig): readonly Url[] {
  const { nodePorts } = site.settings
  const http = nodePorts && hostPortOf(kind, nodePorts.http)
  const https = nodePorts && hostPortOf(kind, nodePorts.https)
  const edge = plan.exposures.flatMap((exposure) => {
    const host = reachable(hostOfExposure(site, exposure))
    return [
      ...(http ? [{ name: exposure.name, url: `http://${host}:${http.port}` }] : []),
      ...(https ? [{ name: tlsName(exposure.name), url: `https://${host}:${https.port}` }] : []),
    ]
  })
  const pages = http
    ? pagedExternals(site, plan).map((external) => ({
        name: external.name,
        url: `http://${pageHost(external)}:${http.port}`,
      }))
    : []
  const inside = windows.flatMap(({ name, nodePort }) => {
    const port = hostPortOf(kind, nodePort)
    return port ? [{ name, url: `http://localhost:${port.port}` }] : []
  })
  return [...edge, ...pages, ...inside]
}

/** The name under which an exposure's URL by HTTPS is listed. */
export function tlsName(exposure: string): string {
  return `${exposure}, TLS`
}

/** An exposure without a host of its own answers under any. */
function reachable(host: string): string {
  return host === '*' ? 'localhost' : host.replace(/^\*\./, 'www.')
}

/** Opens Jaeger's page on its node port. @throws ClusterError */
export async function openJaeger(connection: Connection): Promise<void> {
  const base = `/api/v1/namespaces/${observabilityNamespace}/services`
  const collector = await connection.request({ method: 'GET', path: `${base}/${tracing.service}` })
  if (collector.status !== 200) return
  const { spec } = collector.body as { readonly spec: { readonly selector: Readonly<Record<string, string>> } }
  const [{ nodePort }] = windows
  const name = 'jaeger-window'
  const answer = await connection.request({
    method: 'PATCH',
    path: `${base}/${name}?fieldManager=${fieldManager}&force=true`,
    contentType: 'application/apply-patch+yaml',
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: observabilityNamespace },
      spec: {
        type: 'NodePort',
        selector: spec.selector,
        ports: [{ name: 'http', port: 16686, targetPort: 16686, nodePort }],
      },
    },
  })
  if (answer.status >= 300)
    throw new ClusterError('INVALID', `Jaeger's page cannot be opened on node port ${nodePort}.`)
}
