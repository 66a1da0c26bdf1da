import type { Plan } from '#plan/plan.ts'
import { edgeOf, labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest, NotSupported } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { edgeCertificates, edgeSecret } from './edge-certificates.ts'
import { edgeProxies } from './edge-proxies.ts'

/** The way in: the Gateway with its certificate and proxies. What it lets through is the routes' part. */
export const edge: SystemPart = {
  wave: 'workloads',
  name: 'system.edge',
  render: (site, plan) =>
    plan.exposures.length === 0
      ? []
      : [
          ...edgeCertificates(site, hostsOf(site, plan)),
          ...edgeProxies(site, plan),
          gateway(site),
          ...(plainIsOpen(site) ? [] : [redirect(site)]),
        ],
}

/** Plain HTTP is answered where nobody from outside comes; elsewhere it is sent on to HTTPS. */
function plainIsOpen({ environment }: Pick<Site, 'environment'>): boolean {
  return environment !== 'production'
}

/** What routes name as their parent: the listeners at which they are open. */
export function parentsOf(site: Site): readonly { readonly name: string; readonly sectionName: 'http' | 'https' }[] {
  const { gateway: name } = edgeOf(site)
  return [
    ...(plainIsOpen(site) ? [{ name, sectionName: 'http' } as const] : []),
    { name, sectionName: 'https' } as const,
  ]
}

/** The host under which an exposure answers on this site; `*` is any. */
export function hostOfExposure(
  { settings }: Site,
  { name, host }: { readonly name: string; readonly host: string },
): string {
  const chosen = Object.hasOwn(settings.hosts, name) ? settings.hosts[name] : undefined
  return chosen ?? host
}

/** In the order of the exposures, which a chart knows before it knows the hosts. */
function hostsOf(site: Site, { exposures }: Pick<Plan, 'exposures'>): readonly string[] {
  return [...new Set(exposures.map((exposure) => hostOfExposure(site, exposure)))]
}

/** The exposures for which the issuer that the settings name is not asked: it signs for hosts alone. To be said wherever something is rendered. */
export function unsignedExposures(site: Site, { exposures }: Plan): readonly NotSupported[] {
  const { clusterIssuer } = site.settings
  if (clusterIssuer === null) return []
  const hosts = hostsOf(site, { exposures }).filter((host) => host !== '*')
  const signer =
    hosts.length === 0 ? 'the edge signs its certificate itself' : `its certificate is for ${hosts.join(', ')} alone`
  return exposures
    .filter((exposure) => hostOfExposure(site, exposure) === '*')
    .map(({ name }) => ({
      where: `exposure ${name}`,
      what: `a certificate of ${clusterIssuer}`,
      reason: `it has no host: ${signer}; set hosts.${name} in the settings`,
    }))
}

function gateway(site: Site): Manifest {
  const { gateway: name, className } = edgeOf(site)
  const allowedRoutes = { namespaces: { from: 'Same' } }
  const parametersRef =
    site.mesh === 'istio'
      ? { group: '', kind: 'ConfigMap', name: 'edge.proxies' }
      : { group: 'gateway.envoyproxy.io', kind: 'EnvoyProxy', name: 'edge.proxies' }
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: site.namespace, labels: labelsOf(site, name, 'edge') },
    spec: {
      gatewayClassName: className,
      infrastructure: { parametersRef },
      listeners: [
        { name: 'http', port: 80, protocol: 'HTTP', allowedRoutes },
        {
          name: 'https',
          port: 443,
          protocol: 'HTTPS',
          tls: { mode: 'Terminate', certificateRefs: [{ name: edgeSecret(site) }] },
          allowedRoutes,
        },
      ],
    },
  }
}

function redirect(site: Site): Manifest {
  const { gateway: name } = edgeOf(site)
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'edge.redirect', namespace: site.namespace, labels: labelsOf(site, name, 'edge') },
    spec: {
      parentRefs: [{ name, sectionName: 'http' }],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/' } }],
          filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } }],
        },
      ],
    },
  }
}
