import { labelsOf, outsideNamespace, type Site } from '#providers/cluster.ts'
import { namespaceAnnotations } from '#providers/linkerd/mtls.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { SystemPart } from '../component.ts'
import { playedExternals } from '../workloads/played.ts'

/** The version of Pod Security's rules: those of a fixed release, so that an upgrade of the cluster refuses nothing overnight. */
const podSecurityVersion = 'v1.34'

/** The namespaces: the system's, in its mesh; and where stand-ins play the outside, a second one without a mesh. */
export const namespaces: SystemPart = {
  wave: 'policies',
  name: 'system.namespaces',
  render: (site, plan) => [
    namespace(site, site.namespace, 'system', inMesh(site)),
    ...(playedExternals(site, plan).length > 0
      ? [namespace(site, outsideNamespace(site), 'outside', outOfMesh(site))]
      : []),
  ],
}

type Marks = {
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

function namespace(site: Site, name: string, component: string, { labels, annotations }: Marks): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: { ...labelsOf(site, name, component), ...podSecurity, ...labels },
      ...(annotations ? { annotations } : {}),
    },
  }
}

const podSecurity = Object.fromEntries(
  ['enforce', 'audit', 'warn'].flatMap((mode) => [
    [`pod-security.kubernetes.io/${mode}`, 'restricted'],
    [`pod-security.kubernetes.io/${mode}-version`, podSecurityVersion],
  ]),
)

function inMesh({ mesh }: Site): Marks {
  switch (mesh) {
    case 'istio':
      return { labels: { 'istio-injection': 'enabled' } }
    case 'linkerd':
      return { annotations: namespaceAnnotations }
    case 'none':
      return {}
  }
}

function outOfMesh({ mesh }: Site): Marks {
  switch (mesh) {
    case 'istio':
      return { labels: { 'istio-injection': 'disabled' } }
    case 'linkerd':
      return { annotations: { 'linkerd.io/inject': 'disabled' } }
    case 'none':
      return {}
  }
}
