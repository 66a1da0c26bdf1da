import type { Plan } from '#plan/plan.ts'
import { edgeOf, labelsOf, outsideNamespace, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { parentsOf } from './edge.ts'
import { type Played, pagePortOf, playedExternals } from './played.ts'

/** The stand-ins that show a page, where there is a Gateway to show it at. */
export function pagedExternals(site: Site, plan: Plan): readonly Played[] {
  return plan.exposures.length === 0
    ? []
    : playedExternals(site, plan).filter(({ standIn }) => standIn.webPort !== null)
}

/** The host of a stand-in's page. Browsers take every name under `localhost` for the machine itself, without DNS. */
export function pageHost({ name }: Pick<Played, 'name'>): string {
  return `${name}.localhost`
}

/** Shows the pages of stand-ins at the system's Gateway, each under a host of its own. */
export function pages(site: Site, plan: Plan): readonly Manifest[] {
  const shown = pagedExternals(site, plan)
  return shown.length === 0 ? [] : [...shown.map((external) => page(site, external)), grant(site)]
}

function page(site: Site, external: Played): Manifest {
  const { name } = external
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: `${name}.page`, namespace: site.namespace, labels: labelsOf(site, name, 'stand-in') },
    spec: {
      parentRefs: parentsOf(site),
      hostnames: [pageHost(external)],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/' }, method: 'GET' }],
          backendRefs: [{ name, namespace: outsideNamespace(site), port: pagePortOf(external) }],
        },
      ],
    },
  }
}

/** Lets the routes of the system's namespace name Services of the stand-ins'. */
function grant(site: Site): Manifest {
  const { gateway } = edgeOf(site)
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'ReferenceGrant',
    metadata: { name: 'pages', namespace: outsideNamespace(site), labels: labelsOf(site, gateway, 'stand-in') },
    spec: {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: site.namespace }],
      to: [{ group: '', kind: 'Service' }],
    },
  }
}
