import type { PlannedService } from '#plan/plan.ts'
import { ports, type Site, selectorOf } from '#providers/cluster.ts'
import type { Variable } from './environment.ts'
import type { Probes } from './probes.ts'
import { RenderError } from './render-error.ts'
import { workloadLabels } from './version.ts'

type Start = PlannedService['start']

/** The user of every application; the meshes' proxies have others, which is how they tell their own traffic apart. */
const user = 10_001

/** What a pod is made of. `component` says which part of the system it is; `what` names it in messages, such as `service orders`. */
export type PodSpec = {
  readonly name: string
  readonly what: string
  readonly component: 'service' | 'stand-in'
  readonly start: Start
  readonly cpuMillis: number
  readonly memoryMiB: number
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly env: readonly Variable[]
  readonly probes: Probes
  readonly volumes: readonly object[]
  readonly mounts: readonly object[]
  readonly annotations: Readonly<Record<string, string>>
  /** Two or more replicas are spread over nodes and zones. */
  readonly spread: boolean
}

/** A pod template that has every item of the hardening list; `hardening.test.ts` holds it to each. */
export function podTemplate(site: Site, spec: PodSpec) {
  const annotations = Object.keys(spec.annotations).length > 0 ? spec.annotations : undefined
  return {
    metadata: { labels: podLabels(site, spec), annotations },
    spec: {
      serviceAccountName: spec.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        fsGroup: user,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      imagePullSecrets: pullSecrets(site),
      // preStop waits 5 s for the mesh to look away, then the process drains for at most 8 s.
      terminationGracePeriodSeconds: 20,
      topologySpreadConstraints: spec.spread ? spreadOf(spec.name) : undefined,
      containers: [container(site, spec)],
      volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }, ...spec.volumes],
    },
  }
}

/** The labels of a pod: those of everything, what selectors use, and what Kiali reads. */
function podLabels(site: Site, { name, component, start }: PodSpec) {
  return { ...selectorOf(name), version: 'v1', ...workloadLabels(site, name, component, start) }
}

function container(site: Site, spec: PodSpec) {
  return {
    name: 'app',
    ...program(site, spec),
    // On kind images are loaded into the nodes and there is no registry; elsewhere it is asked whether the image is still ours to run.
    imagePullPolicy: site.environment === 'production' ? 'Always' : 'IfNotPresent',
    ports: spec.ports.map((port) => ({ ...port, protocol: 'TCP' })),
    env: spec.env,
    ...spec.probes,
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
    // CPU has no limit on purpose: throttling turns load into latency. Its request bounds what neighbours can take.
    resources: {
      requests: { cpu: `${spec.cpuMillis}m`, memory: `${spec.memoryMiB}Mi`, 'ephemeral-storage': '64Mi' },
      limits: { memory: `${spec.memoryMiB}Mi`, 'ephemeral-storage': '256Mi' },
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...spec.mounts],
  }
}

/** The image, and what is run of it. */
function program({ settings }: Site, { start, what }: PodSpec) {
  switch (start.kind) {
    case 'module': {
      const { repository, tag, digest } = settings.image
      const image = digest === null ? `${repository}:${tag}` : `${repository}@${digest}`
      return { image, command: ['node', `/app/${start.file.replace(/\.ts$/, '.js')}`] }
    }
    case 'image':
      return { image: start.image, command: start.argv.length > 0 ? start.argv : undefined }
    case 'command':
      throw new RenderError(
        `The ${what} starts with the command "${start.argv.join(' ')}", which a cluster cannot run without an image. ` +
          `Build an image that holds it, and declare start: image('registry/name:tag', '${start.argv.join("', '")}').`,
      )
  }
}

function pullSecrets({ settings: { imagePullSecrets } }: Site) {
  return imagePullSecrets.length > 0 ? imagePullSecrets.map((name) => ({ name })) : undefined
}

/** Over nodes, then zones; a cluster that has too few of them still runs everything. */
function spreadOf(service: string) {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selectorOf(service) },
    matchLabelKeys: ['pod-template-hash'],
  }))
}

/** The port of `/livez`, `/readyz` and `/metrics`. */
export const adminPort = { name: 'admin', containerPort: ports.admin } as const
