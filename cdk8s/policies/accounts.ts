import { labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart } from '../component.ts'

/** Who a service is: a ServiceAccount of its own. Nothing of ours asks the API server, so no token is mounted. */
export const account: ServicePart = {
  wave: 'policies',
  render: (site, { service: { name } }) => [accountOf(site, name, site.namespace, 'service')],
}

/** A ServiceAccount without a mounted token. */
export function accountOf(site: Site, name: string, namespace: string, component: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace, labels: labelsOf(site, name, component) },
    automountServiceAccountToken: false,
  }
}
