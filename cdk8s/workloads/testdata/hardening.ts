/** The hardening list as rules over one pod, each with changes that break it. */
import type { Manifest } from '#providers/manifest.ts'

type Security = Record<string, unknown> & { seccompProfile?: { type: string }; runAsUser?: number }
type Probe = { grpc?: object; httpGet?: object; tcpSocket?: object; failureThreshold: number; periodSeconds: number }

/** What the rules read of a container. */
export type Container = {
  name: string
  image: string
  imagePullPolicy: string
  securityContext: Security & { capabilities?: { drop?: string[]; add?: string[] } }
  resources: { requests: Record<string, string>; limits: Record<string, string> }
  startupProbe?: Probe
  readinessProbe?: Probe
  livenessProbe?: Probe
  lifecycle?: { preStop?: { sleep?: { seconds: number } } }
  ports: { hostPort?: number }[]
  env: { name: string; value?: string; valueFrom?: { secretKeyRef?: { key: string } } }[]
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[]
}

/** What the rules read of a pod. */
export type PodSpec = Record<string, unknown> & {
  serviceAccountName: string
  securityContext: Security
  containers: Container[]
  initContainers?: Container[]
  terminationGracePeriodSeconds: number
  topologySpreadConstraints?: object[]
  volumes: {
    name: string
    emptyDir?: { sizeLimit?: string }
    projected?: { defaultMode?: number; sources: { secret?: { items?: object[] } }[] }
    secret?: object
    hostPath?: object
  }[]
}

/** A pod template with the name and the labels of what makes it. */
export type Pod = {
  name: string
  own: Record<string, string>
  replicas: number | undefined
  selector: Record<string, string>
  labels: Record<string, string>
  spec: PodSpec
}

/** Every pod template among objects. */
export function podsIn(objects: readonly Manifest[]): readonly Pod[] {
  return objects.flatMap((object) => {
    const spec = object.spec as
      | { template?: { spec?: PodSpec; metadata: { labels: Record<string, string> } } }
      | undefined
    const template = spec?.template
    if (!template?.spec) return []
    const { replicas, selector } = object.spec as {
      replicas?: number
      selector: { matchLabels: Record<string, string> }
    }
    return [
      {
        name: object.metadata.name,
        own: { ...object.metadata.labels },
        replicas,
        selector: selector.matchLabels,
        labels: template.metadata.labels,
        spec: template.spec,
      },
    ]
  })
}

/** A rule, and what breaks it: changes of a pod that is good. */
export type Rule = {
  readonly name: string
  readonly holds: (pod: Pod) => boolean
  readonly broken: readonly ((pod: Pod, container: Container) => void)[]
}

/** Users of the meshes' proxies: an application that had one would pass its proxy by. */
const proxyUsers = [1337, 2102]

const each = (holds: (container: Container) => boolean) => (pod: Pod) =>
  pod.spec.containers.length > 0 && [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].every(holds)

/** The labels that Kubernetes recommends: `app.kubernetes.io/…`. */
const described = ['name', 'instance', 'version', 'component', 'part-of', 'managed-by'] as const
const labelValue = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/

const userIsFit = (user: number | undefined) =>
  Number.isInteger(user) && Number(user) >= 10_000 && !proxyUsers.includes(Number(user))

/** All of them. */
export const rules: readonly Rule[] = [
  {
    name: 'runs as a numbered user that is neither root nor a proxy',
    holds: (pod) =>
      pod.spec.securityContext.runAsNonRoot === true &&
      userIsFit(pod.spec.securityContext.runAsUser) &&
      each(({ securityContext }) => securityContext.runAsNonRoot === true && userIsFit(securityContext.runAsUser))(pod),
    broken: [
      (pod) => {
        pod.spec.securityContext.runAsUser = 0
      },
      (_, container) => {
        container.securityContext.runAsUser = 2102
      },
      (_, container) => delete container.securityContext.runAsNonRoot,
    ],
  },
  {
    name: 'files that it mounts belong to its group',
    holds: ({ spec }) => spec.securityContext.fsGroup === spec.securityContext.runAsUser,
    broken: [(pod) => delete pod.spec.securityContext.fsGroup],
  },
  {
    name: 'has no capability',
    holds: each(
      ({ securityContext: { capabilities } }) =>
        capabilities?.drop?.includes('ALL') === true && (capabilities.add ?? []).length === 0,
    ),
    broken: [
      (_, container) => delete container.securityContext.capabilities,
      (_, container) => {
        container.securityContext.capabilities = { drop: ['ALL'], add: ['NET_ADMIN'] }
      },
    ],
  },
  {
    name: 'gains no privilege',
    holds: each(
      ({ securityContext }) =>
        securityContext.allowPrivilegeEscalation === false && securityContext.privileged === false,
    ),
    broken: [
      (_, container) => delete container.securityContext.allowPrivilegeEscalation,
      (_, container) => {
        container.securityContext.privileged = true
      },
    ],
  },
  {
    name: 'is confined by the default seccomp profile',
    holds: (pod) =>
      [pod.spec.securityContext, ...pod.spec.containers.map(({ securityContext }) => securityContext)].every(
        ({ seccompProfile }) => seccompProfile?.type === 'RuntimeDefault',
      ),
    broken: [
      (pod) => delete pod.spec.securityContext.seccompProfile,
      (_, container) => {
        container.securityContext.seccompProfile = { type: 'Unconfined' }
      },
    ],
  },
  {
    name: 'cannot write its own files, and elsewhere only so much',
    holds: (pod) =>
      each(({ securityContext }) => securityContext.readOnlyRootFilesystem === true)(pod) &&
      pod.spec.volumes.every(({ emptyDir }) => !emptyDir || emptyDir.sizeLimit !== undefined) &&
      each(({ volumeMounts }) => volumeMounts.some(({ mountPath }) => mountPath === '/tmp'))(pod),
    broken: [
      (_, container) => delete container.securityContext.readOnlyRootFilesystem,
      (pod) => void pod.spec.volumes.push({ name: 'more', emptyDir: {} }),
      (_, container) => {
        container.volumeMounts = []
      },
    ],
  },
  {
    name: 'shares nothing with its node',
    holds: (pod) =>
      ['hostNetwork', 'hostPID', 'hostIPC'].every((field) => pod.spec[field] !== true) &&
      pod.spec.volumes.every(({ hostPath }) => hostPath === undefined) &&
      each(({ ports }) => ports.every(({ hostPort }) => hostPort === undefined))(pod),
    broken: [
      (pod) => {
        pod.spec.hostNetwork = true
      },
      (pod) => {
        pod.spec.hostPID = true
      },
      (pod) => void pod.spec.volumes.push({ name: 'host', hostPath: { path: '/' } }),
      (_, container) => void container.ports.push({ hostPort: 80 }),
    ],
  },
  {
    name: 'asks for processor, memory and disk, and is bounded in the last two',
    holds: each(
      ({ resources: { requests, limits } }) =>
        ['cpu', 'memory', 'ephemeral-storage'].every((name) => requests[name] !== undefined) &&
        ['memory', 'ephemeral-storage'].every((name) => limits[name] !== undefined) &&
        requests.memory === limits.memory,
    ),
    broken: [
      (_, container) => delete container.resources.requests.cpu,
      (_, container) => delete container.resources.limits.memory,
      (_, container) => delete container.resources.limits['ephemeral-storage'],
    ],
  },
  {
    name: 'has no limit of the processor: throttling turns load into latency',
    holds: each(({ resources: { limits } }) => limits.cpu === undefined),
    broken: [
      (_, container) => {
        container.resources.limits.cpu = '1'
      },
    ],
  },
  {
    name: 'tells when it has started, is ready and is alive',
    holds: each(({ startupProbe, readinessProbe, livenessProbe }) =>
      [startupProbe, readinessProbe, livenessProbe].every(
        (probe) => probe !== undefined && [probe.grpc, probe.httpGet, probe.tcpSocket].filter(Boolean).length === 1,
      ),
    ),
    broken: [
      (_, container) => delete container.startupProbe,
      (_, container) => delete container.readinessProbe,
      (_, container) => delete container.livenessProbe,
    ],
  },
  {
    name: 'is not killed because something that it needs is away',
    holds: each(({ livenessProbe, startupProbe }) =>
      // An image of somebody else need not know /livez: that it accepts connections is enough.
      [livenessProbe, startupProbe].every((probe) => probe?.tcpSocket || JSON.stringify(probe).includes('/livez')),
    ),
    broken: [
      (_, container) => {
        container.livenessProbe = container.readinessProbe as Probe
      },
    ],
  },
  {
    name: 'is told of late, and drains longer than it waits',
    holds: (pod) => {
      const waits = pod.spec.containers.map(({ lifecycle }) => lifecycle?.preStop?.sleep?.seconds ?? 0)
      // A service drains for at most 8 s and is killed after 10.
      return waits.every((seconds) => seconds >= 5 && pod.spec.terminationGracePeriodSeconds >= seconds + 10)
    },
    broken: [
      (_, container) => delete container.lifecycle,
      (pod) => {
        pod.spec.terminationGracePeriodSeconds = 10
      },
    ],
  },
  {
    name: 'mounts no token and learns of no Service by itself',
    holds: ({ spec }) =>
      spec.automountServiceAccountToken === false &&
      spec.enableServiceLinks === false &&
      spec.serviceAccountName !== '',
    broken: [(pod) => delete pod.spec.automountServiceAccountToken, (pod) => delete pod.spec.enableServiceLinks],
  },
  {
    name: 'gets secrets as files, only the keys that it needs, read-only and its own',
    holds: (pod) => {
      const projected = pod.spec.volumes.filter((volume) => volume.projected)
      const own = projected.every(
        ({ projected: files }) =>
          files?.defaultMode === 0o440 && files.sources.every(({ secret }) => (secret?.items ?? []).length > 0),
      )
      const mounted = each(({ volumeMounts }) =>
        projected.every(({ name }) =>
          // A file mounted by subPath would never be renewed.
          volumeMounts.some((mount) => mount.name === name && mount.readOnly === true && mount.subPath === undefined),
        ),
      )
      // The operator makes up the user's name; nothing else comes from a Secret.
      const named = each(({ env }) =>
        env.every(({ name, valueFrom }) => valueFrom === undefined || name === 'AMQP_USERNAME'),
      )
      return own && pod.spec.volumes.every(({ secret }) => secret === undefined) && mounted(pod) && named(pod)
    },
    broken: [
      (pod) => {
        for (const { projected } of pod.spec.volumes) if (projected) projected.defaultMode = 0o444
      },
      (pod) => void pod.spec.volumes.push({ name: 'all', secret: { secretName: 'all' } }),
      (_, container) => {
        for (const mount of container.volumeMounts) delete mount.readOnly
      },
      (_, container) =>
        void container.env.push({ name: 'PGPASSWORD', valueFrom: { secretKeyRef: { key: 'password' } } }),
    ],
  },
  {
    name: 'says what it is',
    holds: ({ own, labels, name }) =>
      [own, labels].every((some) =>
        described.every((label) => labelValue.test(some[`app.kubernetes.io/${label}`] ?? '')),
      ) &&
      labels.app === name &&
      labels.version !== undefined,
    broken: [
      ...described.flatMap((label) => [
        (pod: Pod) => delete pod.labels[`app.kubernetes.io/${label}`],
        (pod: Pod) => delete pod.own[`app.kubernetes.io/${label}`],
      ]),
      (pod) => {
        pod.labels['app.kubernetes.io/version'] = '-1'
      },
      (pod) => delete pod.labels.version,
    ],
  },
  {
    name: 'is selected by what never changes',
    holds: ({ name, selector, labels }) =>
      JSON.stringify(selector) === JSON.stringify({ app: name }) && labels.app === name,
    broken: [
      (pod) => {
        pod.selector['app.kubernetes.io/version'] = '1.2.3'
      },
      (pod) => {
        pod.labels.app = 'another'
      },
    ],
  },
  {
    name: 'runs an image that is named for good',
    holds: each(
      ({ image, imagePullPolicy }) =>
        /(:[^:/@]+|@sha256:[0-9a-f]{64})$/.test(image) && !image.endsWith(':latest') && imagePullPolicy !== undefined,
    ),
    broken: [
      (_, container) => {
        container.image = 'registry.example/parley'
      },
      (_, container) => {
        container.image = 'registry.example/parley:latest'
      },
    ],
  },
]
