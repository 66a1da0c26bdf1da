import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { must, type Runner } from './command.ts'
import { type Connection, openConnection } from './connection.ts'
import { ClusterError } from './failure.ts'
import { fieldManager } from './inventory.ts'
import { type KindConfig, parseKindConfig } from './kind-config.ts'
import { type Live, readinessOf } from './readiness.ts'

/** A cluster of kind: its configuration, and the file that it is in. */
export type KindCluster = { readonly file: string; readonly text: string; readonly config: KindConfig }

/** How kind is used, and who is told. */
export type KindOptions = {
  readonly run: Runner
  readonly signal?: AbortSignal
  readonly say: (text: string) => void
  readonly onLine: (line: string) => void
}

const answerMsMax = 60_000

/** The cluster that a configuration file describes. */
export function kindCluster(file: string): KindCluster {
  const text = readFileSync(file, 'utf8')
  return { file, text, config: parseKindConfig(text) }
}

/** The context that kind makes for a cluster. */
export function contextOf({ config }: KindCluster): string {
  return `kind-${config.name}`
}

/** Whether kind knows such a cluster; it may be half made. */
export async function kindExists(
  { config }: KindCluster,
  { run, signal }: Pick<KindOptions, 'run' | 'signal'>,
): Promise<boolean> {
  const listed = await must(run, 'kind', ['get', 'clusters'], { ...(signal && { signal }) })
  return listed.split('\n').some((line) => line.trim() === config.name)
}

/**
 * Makes the cluster, or takes the one that is there. One that an interruption left half made is deleted first, which is said.
 * Gives the connection to it.
 * @throws ClusterError TOOL_FAILED, INTERRUPTED
 */
export async function ensureKind(cluster: KindCluster, options: KindOptions): Promise<Connection> {
  if (await kindExists(cluster, options)) {
    const found = await adopt(cluster, options)
    if (found) return found
    options.say(
      `The cluster ${cluster.config.name} is half made, as an interruption leaves it: deleting it, then making it anew`,
    )
    await deleteKind(cluster, options)
  }
  await kind(options, ['create', 'cluster', '--config', cluster.file, '--wait', '180s'])
  const connection = openKind(cluster, options)
  await mark(connection, cluster)
  return connection
}

/** Deletes the cluster with all that is in it. One that is not there is fine. */
export async function deleteKind({ config }: KindCluster, options: KindOptions): Promise<void> {
  await kind(options, ['delete', 'cluster', '--name', config.name])
}

async function kind({ run, signal, onLine }: KindOptions, args: readonly string[]): Promise<string> {
  return must(run, 'kind', args, { onLine, ...(signal && { signal }) })
}

function openKind(cluster: KindCluster, { signal }: KindOptions): Connection {
  return openConnection(contextOf(cluster), { ...(signal && { signal }) })
}

/** The cluster as it is, once it answers with all of its nodes; null when it does not. A stopped machine has stopped its nodes too. */
async function adopt(cluster: KindCluster, options: KindOptions): Promise<Connection | null> {
  const { config } = cluster
  if ((await nodesOf(config.name, options.run)).length < config.nodes) return null
  const nodes = await nodesOf(config.name, options.run, ['--filter', 'status=exited'])
  if (nodes.length > 0) {
    options.say(`Starting ${nodes.length} stopped ${nodes.length === 1 ? 'node' : 'nodes'} of ${config.name}`)
    await must(options.run, 'docker', ['start', ...nodes])
  }
  const exported = await options.run('kind', ['export', 'kubeconfig', '--name', config.name])
  if (exported.code !== 0) return null
  const connection = openKind(cluster, options)
  const until = performance.now() + answerMsMax
  while (!(await allNodesReady(connection, config.nodes))) {
    if (performance.now() > until) return null
    await sleep(1_000, undefined, { ...(options.signal && { signal: options.signal }) }).catch(() => {
      throw new ClusterError('INTERRUPTED', 'Interrupted while the cluster was starting.')
    })
  }
  if (await isOtherwise(connection, cluster)) {
    options.say(
      `kind-config.yaml has changed since ${config.name} was made; to take it up: make down TARGET=kind, then up`,
    )
  }
  return connection
}

async function nodesOf(name: string, run: Runner, more: readonly string[] = []): Promise<readonly string[]> {
  const filter = ['--filter', `label=io.x-k8s.kind.cluster=${name}`, ...more]
  const listed = await must(run, 'docker', ['ps', '--all', ...filter, '--format', '{{.Names}}'])
  return listed.split('\n').filter((line) => line !== '')
}

async function allNodesReady(connection: Connection, count: number): Promise<boolean> {
  const answer = await connection.request({ method: 'GET', path: '/api/v1/nodes' }).catch((error: unknown) => {
    if (error instanceof ClusterError && error.code !== 'INTERRUPTED') return null
    throw error
  })
  if (answer?.status !== 200) return false
  const { items } = answer.body as { readonly items: readonly Live[] }
  return (
    items.length >= count &&
    items.every((node) => readinessOf({ ...node, apiVersion: 'v1', kind: 'Node' }).state === 'ready')
  )
}

/** What the cluster was made from is written into it. */
const marker = { namespace: 'kube-system', name: 'parley-kind' } as const
const markerPath = `/api/v1/namespaces/${marker.namespace}/configmaps/${marker.name}`

function hashOf({ text }: KindCluster): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

async function mark(connection: Connection, cluster: KindCluster): Promise<void> {
  await connection.request({
    method: 'PATCH',
    path: `${markerPath}?fieldManager=${fieldManager}&force=true`,
    contentType: 'application/apply-patch+yaml',
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: marker, data: { config: hashOf(cluster) } },
  })
}

async function isOtherwise(connection: Connection, cluster: KindCluster): Promise<boolean> {
  const { status, body } = await connection.request({ method: 'GET', path: markerPath })
  if (status === 404) await mark(connection, cluster)
  if (status !== 200) return false
  return (body as { readonly data?: { readonly config?: string } }).data?.config !== hashOf(cluster)
}
