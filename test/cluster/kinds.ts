import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from '#providers/manifest.ts'
import type { Crd } from '../tools/crds.ts'

/** Kinds that neither Kubernetes' schemas nor the CRDs at hand know, each with the reason why it is rendered all the same. */
export const unjudgedKinds: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['BackendTrafficPolicy', 'ClientTrafficPolicy', 'EnvoyProxy', 'SecurityPolicy'].map((kind) => [
      `gateway.envoyproxy.io/${kind}`,
      'Envoy Gateway’s definitions are not among the CRDs at hand: cluster tests see them where it is installed.',
    ]),
  ),
  ...Object.fromEntries(
    ['ScaledObject', 'TriggerAuthentication'].map((kind) => [
      `keda.sh/${kind}`,
      'KEDA is optional, and its definitions are not among the CRDs at hand.',
    ]),
  ),
}

/** Who can judge a kind: Kubernetes' own schemas, the definition of an operator, or nobody here. */
export type Judge = 'kubernetes' | 'definition' | 'nobody'

/** The name of a schema's file, as kubeconform looks for it. */
function schemaFile({ apiVersion, kind }: Pick<Manifest, 'apiVersion' | 'kind'>): string {
  const [group = '', version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
  const [first = ''] = group.split('.')
  return `${[kind.toLowerCase(), first, version].filter(Boolean).join('-')}.json`
}

/** Who judges an object. A definition comes first: `policy.example` is not Kubernetes' group `policy`. */
export function judgeOf(object: Manifest, schemas: string, crds: readonly Crd[]): Judge {
  const [group = ''] = object.apiVersion.split('/')
  if (crds.some((crd) => crd.group === group && crd.kind === object.kind)) return 'definition'
  const own = !group.includes('.') || group.endsWith('.k8s.io')
  return own && existsSync(join(schemas, schemaFile(object))) ? 'kubernetes' : 'nobody'
}
