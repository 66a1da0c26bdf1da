import { type AskAdmin, adminAnswer } from '#mesh/admin/ask.ts'
import type { Plan, PlannedService } from '#plan/plan.ts'
import { ports, selectorOf } from '#providers/cluster.ts'
import { refusal } from './answers.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'

/**
 * The services of a plan on a cluster, by name, each with the way to ask it: through the API server by a forwarded port, so that the
 * admin address stays closed to everyone else, at whichever of its pods is ready; rejects with a ClusterError where there is
 * none. Those that Parley's kit does not start may have none, and are left out.
 */
export function adminsOnCluster(connection: Connection, { namespace, services }: Plan): ReadonlyMap<string, AskAdmin> {
  return new Map(
    services
      .filter(({ start }) => start.kind === 'module')
      .map((service) => [service.name, askPod(connection, namespace, service)]),
  )
}

function askPod(connection: Connection, namespace: string, { name: service }: PlannedService): AskAdmin {
  return async (verb, path, body = {}) => {
    const name = await readyPod(connection, namespace, service)
    const request = { method: verb, path, ...(verb === 'POST' && { body }) }
    try {
      return adminAnswer(await connection.requestInside({ namespace, name }, ports.admin, request))
    } catch (error) {
      // A pod that is being closed, or a right that is missing: the library tells either as an event.
      const said = messageIn(error)
      throw new ClusterError(
        'UNREACHABLE',
        `${name} of ${service} does not answer ${verb} ${path}: ${said}. See that it runs, and that you may forward its ports: kubectl auth can-i create pods/portforward -n ${namespace}`,
        { cause: error },
      )
    }
  }
}

type PodObject = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

async function readyPod(connection: Connection, namespace: string, service: string): Promise<string> {
  const selector = Object.entries(selectorOf(service)).map(([label, value]) => `${label}=${value}`)
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector.join(','))}`
  const answer = await connection.request({ method: 'GET', path })
  if (answer.status !== 200) throw refusal(connection, { verb: 'list', resource: 'pods', namespace }, answer)
  const { items } = answer.body as { readonly items: readonly PodObject[] }
  const ready = items.find(isReady)
  if (ready) return ready.metadata.name
  throw new ClusterError(
    'UNREACHABLE',
    `No pod of ${service} is ready on ${connection.context}. See why: bin/parley status --context ${connection.context}`,
  )
}

function isReady({ metadata, status }: PodObject): boolean {
  const ready = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
  return ready && metadata.deletionTimestamp === undefined
}

function messageIn(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error && error.message) return String(error.message)
  return String(error)
}
