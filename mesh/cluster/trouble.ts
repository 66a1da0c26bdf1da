import type { Manifest } from '#providers/manifest.ts'
import type { Connection } from './connection.ts'

/**
 * Why an object does not become ready, as the cluster knows it: what its pods' containers wait for, with the last lines of
 * one that crashes, and the newest warning about it or them. Lines for a person; empty where nothing is known.
 */
export async function troubleOf(connection: Connection, object: Manifest): Promise<readonly string[]> {
  const namespace = object.metadata.namespace
  if (namespace === undefined) return []
  const pods = await podsOf(connection, object, namespace)
  const sick = pods.filter((pod) => !isReady(pod))
  const waits = sick.flatMap((pod) => waitsOf(pod).map((wait) => ({ pod, ...wait })))
  const [first] = waits
  const log = first?.crashed ? await lastLines(connection, namespace, first.pod.metadata.name, first.container) : []
  const names = [object.metadata.name, ...sick.map(({ metadata }) => metadata.name)]
  const event = await newestWarning(connection, namespace, names, object.metadata.name)
  const seen = new Set(waits.map(({ pod, text }) => `pod ${pod.metadata.name}: ${text}`))
  return [...[...seen].slice(0, waitsShown), ...log.map((line) => `  | ${line}`), ...(event ? [event] : [])]
}

const waitsShown = 3
const logLines = 5

type Pod = {
  readonly metadata: {
    readonly name: string
    readonly ownerReferences?: readonly { readonly name: string }[]
  }
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[]
    readonly initContainerStatuses?: readonly ContainerStatus[]
    readonly containerStatuses?: readonly ContainerStatus[]
  }
}

type ContainerStatus = {
  readonly name: string
  readonly ready: boolean
  readonly restartCount: number
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string }
    readonly terminated?: { readonly reason?: string; readonly exitCode: number }
  }
}

type Event = {
  readonly type?: string
  readonly reason?: string
  readonly message?: string
  readonly lastTimestamp?: string | null
  readonly eventTime?: string | null
  readonly involvedObject: { readonly kind?: string; readonly name?: string }
}

/** How the operators mark the pods that they make for an object of theirs. */
const podLabels: Readonly<Record<string, string>> = {
  Kafka: 'strimzi.io/cluster',
  Cluster: 'cnpg.io/cluster',
  RabbitmqCluster: 'app.kubernetes.io/name',
  Gateway: 'gateway.networking.k8s.io/gateway-name',
  Prometheus: 'operator.prometheus.io/name',
}

function selectorOf(object: Manifest): string | null {
  const spec = object.spec as { selector?: { matchLabels?: Readonly<Record<string, string>> } } | undefined
  const labels = spec?.selector?.matchLabels
  if (labels)
    return Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',')
  const { name, namespace } = object.metadata
  if (object.kind === 'OpenTelemetryCollector') return `app.kubernetes.io/instance=${namespace}.${name}`
  const label = podLabels[object.kind]
  return label === undefined ? null : `${label}=${name}`
}

async function podsOf(connection: Connection, object: Manifest, namespace: string): Promise<readonly Pod[]> {
  const selector = selectorOf(object)
  if (selector === null) return []
  return itemsAt<Pod>(connection, `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`)
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false
}

function waitsOf({ status }: Pod): { container: string; text: string; crashed: boolean }[] {
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') {
    return [{ container: '', text: scheduled.message ?? 'is not scheduled', crashed: false }]
  }
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  return containers.flatMap(({ name, ready, restartCount, state }) => {
    const { waiting, terminated } = state ?? {}
    // A pod whose first containers still run has nothing wrong with the others.
    if (waiting?.reason && !/^(PodInitializing|ContainerCreating)$/.test(waiting.reason)) {
      const text = `container ${name}: ${waiting.reason}${waiting.message ? `, ${waiting.message}` : ''}`
      return [{ container: name, text, crashed: waiting.reason === 'CrashLoopBackOff' }]
    }
    if (terminated && terminated.exitCode !== 0) {
      return [{ container: name, text: `container ${name} ended with ${terminated.exitCode}`, crashed: true }]
    }
    if (!ready && restartCount > 0) return [{ container: name, text: `container ${name} is not ready`, crashed: true }]
    return []
  })
}

async function newestWarning(
  connection: Connection,
  namespace: string,
  names: readonly string[],
  own: string,
): Promise<string | null> {
  const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=${encodeURIComponent('type=Warning')}`
  const events = await itemsAt<Event>(connection, path)
  const about = events.filter(({ involvedObject: { name = '' } }) => names.includes(name) || isChildOf(name, own))
  const [newest] = about.sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1))
  if (!newest) return null
  const { kind = '', name = '' } = newest.involvedObject
  return `${kind.toLowerCase()} ${name}: ${newest.reason}: ${newest.message?.trim()}`
}

/** ReplicaSets, pods and claims are named after what they are made for. */
function isChildOf(name: string, own: string): boolean {
  return name.startsWith(`${own}-`) && /^(-[a-z0-9]+){1,3}$/.test(name.slice(own.length))
}

function timeOf({ lastTimestamp, eventTime }: Event): string {
  return lastTimestamp ?? eventTime ?? ''
}

async function lastLines(
  connection: Connection,
  namespace: string,
  pod: string,
  container: string,
): Promise<readonly string[]> {
  const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}&tailLines=${logLines}`
  // The container that runs now may have said nothing yet: the one before it has crashed.
  for (const previous of ['&previous=true', '']) {
    const { status, body } = await connection.request({ method: 'GET', path: `${path}${previous}` })
    const text = status === 200 && typeof body === 'string' ? body.trim() : ''
    if (text !== '') return text.split('\n').slice(-logLines)
  }
  return []
}

/** What may not be read explains nothing, and hides nothing either: the object's own reason is told anyway. */
async function itemsAt<T>(connection: Connection, path: string): Promise<readonly T[]> {
  const { status, body } = await connection.request({ method: 'GET', path })
  return status === 200 ? ((body as { items?: readonly T[] }).items ?? []) : []
}
