import type { Egress, Plan, PlannedExternal } from '#plan/plan.ts'
import { outsideNamespace, reachOf, type Site, standsIn } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { httpMatch } from './match.ts'
import { metadata, methodKey, methodNames } from './names.ts'
import { policyOf } from './routes.ts'

/** The EgressNetwork of a system: everything that is not in the cluster. */
const outside = 'egress'

/**
 * What the namespace may reach outside of the cluster: nothing, and in plain HTTP the declared routes of the declared hosts.
 * TLS and TCP pass the proxies by (`bypassedPorts`). A system that a stand-in plays is in the cluster; there the routes of
 * its Service hold for this namespace. Both are the namespace's, not a caller's.
 */
export function egress(site: Site, plan: Plan): readonly Manifest[] {
  const reaching = new Map<string, Egress[]>()
  for (const one of plan.egress) reaching.set(one.external, [...(reaching.get(one.external) ?? []), one])
  return [
    {
      apiVersion: 'policy.linkerd.io/v1alpha1',
      kind: 'EgressNetwork',
      metadata: metadata(site, site.system, outside),
      spec: { trafficPolicy: 'Deny' },
    },
    ...plan.externals
      .filter((external) => seenInPlain(site, external))
      .flatMap((external) => externalRoutes(site, external, reaching.get(external.name) ?? [])),
  ]
}

/** Whether the proxies see the requests to a system outside: HTTP that the application does not encrypt. */
export function seenInPlain(site: Pick<Site, 'system' | 'environment' | 'mesh'>, external: PlannedExternal): boolean {
  return external.protocol === 'http' && !reachOf(site, external).tls
}

function externalRoutes(site: Site, external: PlannedExternal, reaching: readonly Egress[]): readonly Manifest[] {
  const names = methodNames(external.routes)
  const annotations = policyOf(reaching, 'http')
  const { port } = reachOf(site, external)
  const to = standsIn(site, external)
    ? { parentRefs: [{ group: '', kind: 'Service', name: external.name, namespace: outsideNamespace(site), port }] }
    : {
        parentRefs: [{ group: 'policy.linkerd.io', kind: 'EgressNetwork', name: outside, port }],
        hostnames: [external.host],
      }
  return external.routes.map((method) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadata(
      site,
      external.name,
      `${external.name}.reach.${names.get(methodKey(method)) ?? 'method'}`,
      annotations,
    ),
    spec: { ...to, rules: [{ matches: [httpMatch(method)] }] },
  }))
}
