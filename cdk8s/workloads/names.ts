import { dataNames, edgeOf, type Site } from '#providers/cluster.ts'
import { RenderError } from './render-error.ts'

/** Longer than this, and the data services of a system get names that Kubernetes refuses. */
const systemCharactersMax = 40

/**
 * Refuses what a cluster cannot have and a declaration may say: names of Services begin with a letter, and some are taken by
 * the edge and the data services of the system itself.
 * @throws RenderError
 */
export function requireClusterNames(site: Site, service: string): void {
  requireLetter('service', service)
  const { kafka, postgres, rabbitmq } = dataNames(site)
  const taken = [edgeOf(site).account, kafka.cluster, postgres.cluster, rabbitmq.cluster]
  const owner = taken.find((name) => service === name || service.startsWith(`${name}-`))
  if (owner !== undefined) {
    throw new RenderError(
      `The service ${service} has a name that belongs to ${owner}, a part of the system. Rename it.`,
    )
  }
}

/** Names of Kubernetes Services begin with a letter. */
export function requireLetter(what: string, name: string): void {
  if (/^[a-z]/.test(name)) return
  throw new RenderError(
    `The ${what} ${name} begins with a digit, which the name of a Kubernetes Service may not. Rename it, such as to ${what}-${name}.`,
  )
}

/** Namespaces that a cluster has, or in which what a system stands on runs. */
const takenNamespaces = new Set([
  'argocd',
  'cert-manager',
  'cnpg-system',
  'default',
  'envoy-gateway-system',
  'flux-system',
  'istio-system',
  'keda',
  'linkerd',
  'linkerd-cni',
  'observability',
  'opentelemetry-operator-system',
  'rabbitmq-system',
  'strimzi',
])

/**
 * Refuses a system whose name leaves no room for those of its parts, or whose namespace is somebody else's.
 * @throws RenderError
 */
export function requireSystemName({ system, namespace }: Site): void {
  requireLetter('system', system)
  if (takenNamespaces.has(namespace) || namespace.startsWith('kube-')) {
    throw new RenderError(
      `The system ${system} would live in the namespace ${namespace}, which belongs to something else. Rename it.`,
    )
  }
  if (system.length <= systemCharactersMax) return
  throw new RenderError(
    `The system's name ${system} has ${system.length} characters. On a cluster the names of its parts begin with it: at most ${systemCharactersMax}.`,
  )
}
