import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { type Component, waves } from '../component.ts'
import type { OperatorNamespace, Operators } from '../operators.ts'
import { argocd } from './argocd.ts'
import { type Delivery, type GitopsFile, namespacesDir } from './delivery.ts'
import { flux } from './flux.ts'

/**
 * What Argo CD and Flux need to install the operators and then the system, wave by wave, from this repository. One of the
 * two is used; a person applies its `root.yaml` once. `operators` are those that `operatorsFor` chose. Paths are relative
 * to `charts/rendered/<environment>/<mesh>/`, and no file has an object of another file.
 */
export function gitopsFiles(site: Site, components: readonly Component[], operators: Operators): readonly GitopsFile[] {
  const delivery: Delivery = {
    site,
    repositoryDir: `charts/rendered/${site.environment}/${site.mesh}`,
    waves: waves
      .map((name) => ({
        name,
        objects: components.filter(({ wave }) => wave === name).flatMap(({ objects }) => objects),
      }))
      .filter(({ objects }) => objects.length > 0),
    operators,
  }
  return [
    { path: `${namespacesDir}/namespaces.yaml`, objects: operators.namespaces.map(namespaceOf) },
    ...argocd(delivery),
    ...flux(delivery),
  ]
}

function namespaceOf({ name, labels, annotations }: OperatorNamespace): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: { 'app.kubernetes.io/managed-by': 'parley', ...labels },
      annotations: {
        ...annotations,
        'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
        'kustomize.toolkit.fluxcd.io/prune': 'disabled',
      },
    },
  }
}
