/**
 * Argo CD: an app of apps. The root Application holds one Application for each operator and one for each wave of the
 * system; it goes on to the next wave when those of the last are healthy, which needs the health check of `settings.yaml`.
 */
import type { Manifest } from '#providers/manifest.ts'
import type { Operator } from '../operators.ts'
import { type Delivery, type GitopsFile, namespacesDir } from './delivery.ts'
import { healthCustomizations } from './health.ts'

const apiVersion = 'argoproj.io/v1alpha1'
/** Where Argo CD itself runs. */
const namespace = 'argocd'
const cluster = 'https://kubernetes.default.svc'
const dir = 'gitops/argocd'
/** That of the namespaces, which are there before everything. */
const firstWave = -1
const syncWave = (wave: number) => ({ 'argocd.argoproj.io/sync-wave': String(wave) })

/** The files of Argo CD: `root.yaml` and `settings.yaml` are applied by a person, once; the root applies the others. */
export function argocd(delivery: Delivery): readonly GitopsFile[] {
  return [
    { path: `${dir}/root.yaml`, objects: [rootProject(delivery), root(delivery)] },
    { path: `${dir}/settings.yaml`, objects: [settings] },
    { path: `${dir}/applications/projects.yaml`, objects: [operatorsProject(delivery), systemProject(delivery)] },
    { path: `${dir}/applications/operators.yaml`, objects: operatorApplications(delivery) },
    { path: `${dir}/applications/system.yaml`, objects: systemApplications(delivery) },
  ]
}

/**
 * Argo CD does not judge the health of Applications by itself, so waves of Applications would not wait for one another; nor
 * that of every custom resource. Server-side apply adds these keys to the ConfigMap that Argo CD has.
 */
const settings: Manifest = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'argocd-cm',
    namespace,
    labels: { 'app.kubernetes.io/name': 'argocd-cm', 'app.kubernetes.io/part-of': 'argocd' },
  },
  data: {
    'resource.customizations.health.argoproj.io_Application': [
      'hs = { status = "Progressing", message = "" }',
      'if obj.status ~= nil and obj.status.health ~= nil then',
      '  hs.status = obj.status.health.status',
      '  hs.message = obj.status.health.message or ""',
      'end',
      'return hs',
      '',
    ].join('\n'),
    ...healthCustomizations(),
  },
}

const projectOf = ({ site }: Delivery) => ({
  root: `${site.system}-root`,
  operators: `${site.system}-operators`,
  system: site.system,
})

/** The root may make Applications and projects, and nothing else. */
function rootProject(delivery: Delivery): Manifest {
  const { site } = delivery
  return project(projectOf(delivery).root, `The app of apps of ${site.system}.`, {
    sourceRepos: [site.settings.git.url],
    destinations: [{ server: cluster, namespace }],
    clusterResourceWhitelist: [],
    namespaceResourceWhitelist: [
      { group: 'argoproj.io', kind: 'Application' },
      { group: 'argoproj.io', kind: 'AppProject' },
    ],
  })
}

/** Operators bring CRDs and roles of the cluster, so any kind may come, though only from the pinned places. */
function operatorsProject(delivery: Delivery): Manifest {
  const { site, operators } = delivery
  const charts = operators.operators.flatMap(({ source }) =>
    source.kind === 'chart' ? [repoUrl(source.repository)] : [],
  )
  return project(projectOf(delivery).operators, `What ${site.system} stands on.`, {
    sourceRepos: distinct([site.settings.git.url, ...charts]),
    // kube-system: leader election of some, and the Service by which Prometheus finds the cluster's DNS.
    destinations: distinct([...operators.namespaces.map(({ name }) => name), 'default', 'kube-system']).map((name) => ({
      server: cluster,
      namespace: name,
    })),
    clusterResourceWhitelist: [{ group: '*', kind: '*' }],
    namespaceResourceWhitelist: [{ group: '*', kind: '*' }],
  })
}

/** The system may have the kinds that it has, in the namespaces where it has them. */
function systemProject(delivery: Delivery): Manifest {
  const { site, waves } = delivery
  const objects = waves.flatMap((wave) => wave.objects)
  const inNamespace = objects.filter(({ metadata }) => metadata.namespace !== undefined)
  const ofCluster = objects.filter(({ metadata }) => metadata.namespace === undefined)
  const namespaces = distinct([site.namespace, ...inNamespace.map(({ metadata }) => metadata.namespace ?? '')])
  return project(projectOf(delivery).system, `The system ${site.system}.`, {
    sourceRepos: [site.settings.git.url],
    destinations: namespaces.map((name) => ({ server: cluster, namespace: name })),
    clusterResourceWhitelist: kindsOf(ofCluster),
    namespaceResourceWhitelist: kindsOf(inNamespace),
  })
}

function project(name: string, description: string, limits: Readonly<Record<string, unknown>>): Manifest {
  // Below the first Applications: one whose project is not there is of unknown health, for which its wave waits forever.
  const annotations = syncWave(firstWave - 1)
  return {
    apiVersion,
    kind: 'AppProject',
    metadata: { name, namespace, annotations },
    spec: { description, ...limits },
  }
}

function root(delivery: Delivery): Manifest {
  const { site, repositoryDir } = delivery
  return application(delivery, {
    name: site.system,
    project: projectOf(delivery).root,
    source: git(delivery, `${repositoryDir}/${dir}/applications`),
    destination: namespace,
    // A wave may wait long for images; the next try begins where this one ended.
    retries: 20,
  })
}

function operatorApplications(delivery: Delivery): readonly Manifest[] {
  const { site, repositoryDir, operators } = delivery
  const project = projectOf(delivery).operators
  return [
    application(delivery, {
      name: `${site.system}-namespaces`,
      project,
      source: git(delivery, `${repositoryDir}/${namespacesDir}`),
      destination: 'default',
      wave: firstWave,
    }),
    ...operators.operators.map((operator) =>
      application(delivery, {
        name: operator.name,
        project,
        source: operatorSource(delivery, operator),
        destination: operator.namespace ?? 'default',
        wave: operator.wave,
        ignored: ignoredOf(operator),
      }),
    ),
  ]
}

function systemApplications(delivery: Delivery): readonly Manifest[] {
  const { site, repositoryDir, waves, operators } = delivery
  const after = Math.max(firstWave, ...operators.operators.map(({ wave }) => wave)) + 1
  return waves.map(({ name }, index) =>
    application(delivery, {
      name: `${site.system}-${name}`,
      project: projectOf(delivery).system,
      source: git(delivery, `${repositoryDir}/${name}`),
      destination: site.namespace,
      wave: after + index,
    }),
  )
}

type ApplicationSpec = {
  readonly name: string
  readonly project: string
  readonly source: unknown
  readonly destination: string
  readonly wave?: number
  readonly retries?: number
  readonly ignored?: readonly unknown[]
}

function application({ site }: Delivery, spec: ApplicationSpec): Manifest {
  const { name, source, destination, wave, retries = 5, ignored = [] } = spec
  return {
    apiVersion,
    kind: 'Application',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/part-of': site.system, 'app.kubernetes.io/managed-by': 'parley' },
      annotations: {
        'argocd.argoproj.io/compare-options': 'ServerSideDiff=true',
        ...(wave === undefined ? {} : syncWave(wave)),
      },
    },
    spec: {
      project: spec.project,
      source,
      destination: { server: cluster, namespace: destination },
      ...(ignored.length > 0 ? { ignoreDifferences: ignored } : {}),
      syncPolicy: {
        automated: { prune: true, selfHeal: true },
        syncOptions: [
          'ServerSideApply=true',
          'SkipDryRunOnMissingResource=true',
          'RespectIgnoreDifferences=true',
          'PruneLast=true',
          'FailOnSharedResource=true',
        ],
        retry: { limit: retries, backoff: { duration: '10s', factor: 2, maxDuration: '5m' } },
      },
    },
  }
}

/** What an operator changes of its own objects once it runs. */
function ignoredOf({ source }: Operator): readonly unknown[] {
  if (source.kind !== 'chart') return []
  return ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration'].map((kind) => ({
    group: 'admissionregistration.k8s.io',
    kind,
    jqPathExpressions: ['.webhooks[]?.clientConfig.caBundle', '.webhooks[]?.failurePolicy'],
  }))
}

function operatorSource(delivery: Delivery, { name, source }: Operator) {
  if (source.kind === 'manifests') return git(delivery, source.path)
  const { repository, chart, version, values } = source
  return {
    repoURL: repoUrl(repository),
    chart,
    targetRevision: version,
    helm: { releaseName: name, ...(Object.keys(values).length > 0 ? { valuesObject: values } : {}) },
  }
}

/** Argo CD takes a registry without its scheme for a registry of charts. */
function repoUrl(repository: string): string {
  return repository.replace(/^oci:\/\//, '')
}

function git({ site }: Delivery, path: string) {
  const { url, revision } = site.settings.git
  return { repoURL: url, targetRevision: revision, path }
}

function kindsOf(objects: readonly Manifest[]) {
  return distinct(objects.map(({ apiVersion: version, kind }) => `${version.split('/').at(-2) ?? ''}/${kind}`)).map(
    (name) => {
      const [group, kind] = name.split('/')
      return { group, kind }
    },
  )
}

function distinct(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort()
}
