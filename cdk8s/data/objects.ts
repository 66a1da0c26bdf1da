import { createHash } from 'node:crypto'
import { fitted, labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

/** What of an object its own file says: the rest is the same for all objects of the data services. */
export type ObjectSpec = {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly component: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, unknown>>
}

/** Kinds of objects, `group/Kind`, with which data would go, or what guards it: nothing removes them unasked. */
export const dataKinds: ReadonlySet<string> = new Set([
  'kafka.strimzi.io/Kafka',
  'kafka.strimzi.io/KafkaNodePool',
  'kafka.strimzi.io/KafkaTopic',
  'postgresql.cnpg.io/Cluster',
  'postgresql.cnpg.io/Database',
  'postgresql.cnpg.io/DatabaseRole',
  'rabbitmq.com/RabbitmqCluster',
  'rabbitmq.com/Vhost',
  'rabbitmq.com/Queue',
  // Without its policy what waits in a queue for its next attempt would end instead of coming back.
  'rabbitmq.com/Policy',
])

/** An object in the namespace of the system; of a kind that holds data one that is kept. */
export function objectOf(site: Site, spec: ObjectSpec): Manifest {
  const { apiVersion, kind, name, component } = spec
  const group = apiVersion.slice(0, apiVersion.indexOf('/'))
  const annotations = { ...(dataKinds.has(`${group}/${kind}`) ? kept(site) : {}), ...spec.annotations }
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace: site.namespace,
      labels: { ...labelsOf(site, fitted(name), component), ...spec.labels },
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    ...spec.fields,
  }
}

/** What keeps both meshes' injectors away: brokers and databases have certificates and identities of their own. */
export const outOfMesh = {
  labels: { 'sidecar.istio.io/inject': 'false' },
  annotations: { 'sidecar.istio.io/inject': 'false', 'linkerd.io/inject': 'disabled' },
} as const

/**
 * In production nobody's data goes because a declaration, an application or a release did: Argo CD, Flux and Helm leave
 * these objects where they are, and a person deletes them by hand. On kind they go with the rest.
 */
function kept({ environment }: Pick<Site, 'environment'>): Readonly<Record<string, string>> | undefined {
  if (environment !== 'production') return undefined
  return {
    'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
    'helm.sh/resource-policy': 'keep',
    'kustomize.toolkit.fluxcd.io/prune': 'disabled',
  }
}

/**
 * Tells kube-score that a policy is about pods that an operator makes: it looks for them among what is rendered. An
 * annotation rather than a switched-off check, so that the check goes on for all other policies.
 */
export function aboutOperatorsPods(policy: Manifest): Manifest {
  const annotations = { ...policy.metadata.annotations, 'kube-score/ignore': 'networkpolicy-targets-pod' }
  return { ...policy, metadata: { ...policy.metadata, annotations } }
}

/** For pods whose operators do not already ask for what the `restricted` standard wants. */
export const restrictedPod = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } as const
/** For their containers. Their images write to their own root, so it is not read-only. */
export const restrictedContainer = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const

/** Requests and a limit of memory; processor time is asked for and not limited, as it only delays. */
export function resourcesOf(cpu: string, memory: string) {
  return { requests: { cpu, memory }, limits: { memory } } as const
}

/** A size of a volume, with the cluster owner's class. */
export function classOf<Key extends string>({ settings }: Site, key: Key): { readonly [K in Key]?: string } {
  return settings.storageClass === null ? {} : ({ [key]: settings.storageClass } as { readonly [K in Key]: string })
}

const objectName = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/

/**
 * The name of an object for a topic, queue or database. Most are names of objects as they are; one with capital letters or
 * underscores is made so, and told apart from others by a hash of what it was.
 */
export function objectNameOf(name: string): string {
  if (objectName.test(name) && name.length <= 253) return name
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
  return `${plain.slice(0, 200)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`.replace(/^-/, '')
}
