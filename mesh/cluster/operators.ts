import { isDeepStrictEqual } from 'node:util'
import { type Operator, type Operators, operatorsDir } from '#cdk8s/operators.ts'
import type { Manifest } from '#providers/manifest.ts'
import { applyWave } from './apply.ts'
import { must, type Runner, type RunOptions } from './command.ts'
import { concurrently } from './concurrently.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'
import { discoverKinds, type Kinds } from './kinds.ts'
import { type WaitOptions, type WaitProgress, waitUntilReady } from './wait.ts'

/** Which operators are installed, and how. */
export type OperatorsRequest = {
  readonly run: Runner
  readonly rootDir: string
  readonly operators: Operators
  readonly wait: Omit<WaitOptions, 'report'>
  readonly signal?: AbortSignal
  readonly report: (event: OperatorEvent) => void
}

/** What happens on the way. */
export type OperatorEvent =
  | { readonly kind: 'installing'; readonly names: readonly string[]; readonly line: string }
  | { readonly kind: 'installed'; readonly name: string; readonly version: string }
  | ({ readonly kind: 'waiting' } & WaitProgress)

/** Charts are fetched from far away; two at once are faster, more only fight for the API server. */
const installsMax = 2

/**
 * Installs operators wave by wave: a chart by `helm upgrade --install`, manifests by `kubectl apply -k`. A wave is over when
 * its workloads are available and its API groups are served. What is installed already stays as it is.
 * @throws ClusterError TOOL_FAILED, STUCK, INTERRUPTED
 */
export async function installOperators(connection: Connection, request: OperatorsRequest): Promise<void> {
  const { operators, report } = request
  await makeNamespaces(connection, operators)
  const waves = [...Map.groupBy(operators.operators, ({ wave }) => wave).entries()].sort(([a], [b]) => a - b)
  for (const [, members] of waves) {
    const open = new Set(members.map(({ name }) => name))
    await concurrently(members, installsMax, async (operator) => {
      await install(connection, request, operator, (line) => report({ kind: 'installing', names: [...open], line }))
      open.delete(operator.name)
      report({ kind: 'installed', name: operator.name, version: operator.app })
    })
    const kinds = await discoverKinds(connection)
    const awaited = members.flatMap((operator) => operator.ready.map((one) => workloadOf(operator, one)))
    await waitUntilReady(connection, kinds, awaited, {
      ...request.wait,
      report: (progress) => report({ kind: 'waiting', ...progress }),
    })
    await groupsServed(connection, members, request.signal)
  }
}

async function makeNamespaces(connection: Connection, { namespaces }: Operators): Promise<void> {
  const objects: Manifest[] = namespaces.map(({ name, labels, annotations }) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels, annotations },
  }))
  const kinds = await discoverKinds(connection)
  const { failures } = await applyWave(connection, kinds, 'policies', objects, {
    dryRun: false,
    before: new Map(),
    report: () => {},
  })
  const [first] = failures
  if (first) throw first.error
}

async function install(
  { context }: Connection,
  { run, rootDir, signal }: OperatorsRequest,
  { name, source, namespace }: Operator,
  onLine: (line: string) => void,
): Promise<void> {
  const options = { cwd: rootDir, onLine, ...(signal && { signal }) }
  switch (source.kind) {
    case 'chart':
      return installChart(run, context, name, namespace ?? 'default', source, options)
    case 'manifests': {
      const how = ['apply', '--server-side', '--force-conflicts', '--field-manager', 'parley-operators']
      await must(run, 'kubectl', ['--context', context, ...how, '--kustomize', source.path], options)
      return
    }
  }
}

type Chart = Extract<Operator['source'], { kind: 'chart' }>

async function installChart(
  run: Runner,
  context: string,
  name: string,
  namespace: string,
  { repository, chart, version, values }: Chart,
  options: RunOptions,
): Promise<void> {
  const where = ['--kube-context', context, '--namespace', namespace]
  const release = await releaseOf(run, name, where)
  if (release?.status === 'deployed' && release.chart === `${chart}-${version}`) {
    if (isDeepStrictEqual(release.values, values)) return
  }
  // An interrupted installation leaves its release locked: helm would refuse any other until it is rolled back or gone.
  if (release?.status.startsWith('pending-')) {
    const undo = release.status === 'pending-install' ? 'uninstall' : 'rollback'
    await must(run, 'helm', [undo, name, ...where], options)
  }
  const from = repository.startsWith('oci://')
    ? [`${repository.replace(/\/$/, '')}/${chart}`]
    : [chart, '--repo', repository]
  const args = ['upgrade', '--install', name, ...from, ...where, '--version', version, '--values', '-']
  // JSON is YAML.
  await must(run, 'helm', args, { ...options, input: JSON.stringify(values) })
}

type Release = { readonly status: string; readonly chart: string; readonly values: unknown }

async function releaseOf(run: Runner, name: string, where: readonly string[]): Promise<Release | null> {
  const [status, list] = await Promise.all([
    run('helm', ['status', name, ...where, '--output', 'json']),
    run('helm', ['list', ...where, '--filter', `^${name}$`, '--output', 'json']),
  ])
  if (status.code !== 0 || list.code !== 0) return null
  const { info, config = {} } = JSON.parse(status.stdout) as {
    readonly info: { readonly status: string }
    readonly config?: unknown
  }
  const [listed] = JSON.parse(list.stdout) as readonly { readonly chart: string }[]
  return { status: info.status, chart: listed?.chart ?? '', values: config }
}

function workloadOf({ namespace }: Operator, { kind, name }: Operator['ready'][number]): Manifest {
  return { apiVersion: 'apps/v1', kind, metadata: { name, namespace: namespace ?? 'default' } }
}

const servedMsMax = 60_000

async function groupsServed(
  connection: Connection,
  operators: readonly Operator[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const until = performance.now() + servedMsMax
  for (;;) {
    const missing = missingGroups(await discoverKinds(connection), operators)
    if (missing.length === 0) return
    if (performance.now() > until || signal?.aborted) {
      throw new ClusterError(
        'STUCK',
        `Installed, but the API server does not serve what they bring:\n${missing.map((line) => `  ${line}`).join('\n')}\nSee kubectl get crd, and the values in ${operatorsDir}/values, then run it again.`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
}

function missingGroups({ all }: Kinds, operators: readonly Operator[]): readonly string[] {
  const served = new Set(all.map(({ group }) => group))
  return operators.flatMap(({ name, crds }) =>
    crds.filter((group) => !served.has(group)).map((group) => `${group} of ${name}`),
  )
}
