/**
 * Flux: one Kustomization for the repository, which holds one for each wave of operators and of the system. Each waits for
 * its own objects and depends on the one before; operators are HelmReleases inside of theirs.
 */
import type { Manifest } from '#providers/manifest.ts'
import type { Operator } from '../operators.ts'
import { type Delivery, type GitopsFile, namespacesDir } from './delivery.ts'
import { healthOf } from './health.ts'

/** Where Flux itself runs, and where its objects are. */
const namespace = 'flux-system'
const dir = 'gitops/flux'
const kustomize = 'kustomize.toolkit.fluxcd.io/v1'
const sources = 'source.toolkit.fluxcd.io/v1'
const helm = 'helm.toolkit.fluxcd.io/v2'

/** The files of Flux: a person applies `root.yaml`, once; the root applies the others. */
export function flux(delivery: Delivery): readonly GitopsFile[] {
  const { operators } = delivery.operators
  return [
    { path: `${dir}/root.yaml`, objects: [repository(delivery), root(delivery)] },
    { path: `${dir}/waves/operators.yaml`, objects: operatorWaves(delivery) },
    { path: `${dir}/waves/system.yaml`, objects: systemWaves(delivery) },
    ...operators.map((operator) => ({
      path: `${dir}/operators/${operator.wave}/${operator.name}.yaml`,
      objects: operatorObjects(delivery, operator),
    })),
  ]
}

function repository({ site }: Delivery): Manifest {
  const { url, revision } = site.settings.git
  const commit = /^[0-9a-f]{40}$/.test(revision)
  return object(sources, 'GitRepository', site.system, {
    interval: '1m',
    url,
    ref: commit ? { commit: revision } : { name: revision.startsWith('refs/') ? revision : `refs/heads/${revision}` },
  })
}

function root(delivery: Delivery): Manifest {
  const { site, repositoryDir } = delivery
  return kustomization(delivery, {
    name: site.system,
    path: `${repositoryDir}/${dir}/waves`,
    // The waves wait for one another; the root only has to have made them.
    wait: false,
  })
}

function operatorWaves(delivery: Delivery): readonly Manifest[] {
  const { repositoryDir } = delivery
  const names = waveNames(delivery)
  return [
    kustomization(delivery, { name: names.namespaces, path: `${repositoryDir}/${namespacesDir}` }),
    ...operatorWaveNumbers(delivery).map((wave, index, all) => {
      const before = all[index - 1]
      return kustomization(delivery, {
        name: names.operators(wave),
        path: `${repositoryDir}/${dir}/operators/${wave}`,
        after: before === undefined ? names.namespaces : names.operators(before),
        // Charts and images come over the network.
        timeout: '15m',
      })
    }),
  ]
}

function systemWaves(delivery: Delivery): readonly Manifest[] {
  const { repositoryDir, waves } = delivery
  const names = waveNames(delivery)
  const last = operatorWaveNumbers(delivery).at(-1)
  return waves.map(({ name, objects }, index) => {
    const before = waves[index - 1]
    const first = last === undefined ? names.namespaces : names.operators(last)
    return kustomization(delivery, {
      name: names.system(name),
      path: `${repositoryDir}/${name}`,
      after: before ? names.system(before.name) : first,
      timeout: '15m',
      health: healthOf(objects),
    })
  })
}

function waveNames({ site: { system } }: Delivery) {
  return {
    namespaces: `${system}-namespaces`,
    operators: (wave: number) => `${system}-operators-${wave}`,
    system: (wave: string) => `${system}-${wave}`,
  }
}

function operatorWaveNumbers({ operators }: Delivery): readonly number[] {
  return [...new Set(operators.operators.map(({ wave }) => wave))].sort((a, b) => a - b)
}

function operatorObjects(delivery: Delivery, operator: Operator): readonly Manifest[] {
  const { source, name } = operator
  if (source.kind === 'manifests') return [kustomization(delivery, { name, path: source.path, timeout: '10m' })]
  const oci = source.repository.startsWith('oci://')
  return [
    oci
      ? object(sources, 'OCIRepository', name, {
          interval: '12h',
          url: `${source.repository}/${source.chart}`,
          ref: { tag: source.version },
          layerSelector: { mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', operation: 'copy' },
        })
      : object(sources, 'HelmRepository', name, { interval: '12h', url: source.repository }),
    object(helm, 'HelmRelease', name, {
      interval: '10m',
      ...(oci
        ? { chartRef: { kind: 'OCIRepository', name } }
        : {
            chart: {
              spec: { chart: source.chart, version: source.version, sourceRef: { kind: 'HelmRepository', name } },
            },
          }),
      ...release(delivery, operator),
      ...(Object.keys(source.values).length > 0 ? { values: source.values } : {}),
    }),
  ]
}

function release(delivery: Delivery, operator: Operator) {
  const before = releasesBefore(delivery, operator)
  return {
    releaseName: operator.name,
    targetNamespace: operator.namespace ?? 'default',
    storageNamespace: operator.namespace ?? 'default',
    ...(before.length > 0 ? { dependsOn: before.map((name) => ({ name })) } : {}),
    timeout: '10m',
    install: { crds: 'CreateReplace', remediation: { retries: 5 } },
    upgrade: {
      crds: 'CreateReplace',
      cleanupOnFail: true,
      remediation: { retries: 3, strategy: 'rollback', remediateLastFailure: true },
    },
    driftDetection: {
      mode: 'enabled',
      // What an operator writes into its own webhooks once it runs.
      ignore: [
        {
          paths: ['/webhooks'],
          target: { group: 'admissionregistration.k8s.io', kind: '(Mutating|Validating)WebhookConfiguration' },
        },
      ],
    },
  }
}

/** The charts of the last wave before this one that has any. */
function releasesBefore({ operators: { operators } }: Delivery, { wave }: Operator): readonly string[] {
  const charts = operators.filter(({ source, wave: other }) => source.kind === 'chart' && other < wave)
  const last = Math.max(...charts.map(({ wave: other }) => other))
  return charts.filter(({ wave: other }) => other === last).map(({ name }) => name)
}

type KustomizationSpec = {
  readonly name: string
  readonly path: string
  readonly after?: string
  readonly timeout?: string
  readonly wait?: boolean
  readonly health?: readonly unknown[]
}

function kustomization({ site }: Delivery, spec: KustomizationSpec): Manifest {
  const { name, path, after, timeout = '5m', wait = true, health = [] } = spec
  return object(kustomize, 'Kustomization', name, {
    interval: '10m',
    retryInterval: '1m',
    timeout,
    sourceRef: { kind: 'GitRepository', name: site.system },
    path: `./${path}`,
    prune: true,
    wait,
    ...(after === undefined ? {} : { dependsOn: [{ name: after }] }),
    ...(health.length > 0 ? { healthCheckExprs: health } : {}),
  })
}

function object(apiVersion: string, kind: string, name: string, spec: Readonly<Record<string, unknown>>): Manifest {
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'parley' } },
    spec,
  }
}
