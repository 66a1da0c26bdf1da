import type { Plan } from '#plan/plan.ts'
import { observabilityNamespace, type Settings, tracing } from '#providers/cluster.ts'
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

/** Every URL that kind's ports lead to: the exposures through the edge, then Jaeger, Prometheus and Grafana. Pure. */
export function urlsOf({ exposures }: Plan, settings: Settings, kind: KindConfig): readonly Url[] {
  const https = settings.nodePorts && hostPortOf(kind, settings.nodePorts.https)
  const edge = https
    ? exposures.map(({ name, host }) => ({
        name,
        url: `https://${hostName(settings.hosts[name] ?? host)}:${https.port}`,
      }))
    : []
  const inside = windows.flatMap(({ name, nodePort }) => {
    const port = hostPortOf(kind, nodePort)
    return port ? [{ name, url: `http://localhost:${port.port}` }] : []
  })
  return [...edge, ...inside]
}

/** An exposure without a host of its own answers under any. */
function hostName(host: string): string {
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
