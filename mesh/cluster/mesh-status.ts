import type { Mesh } from '#providers/cluster.ts'
import { messageOf, refusal } from './answers.ts'
import type { Connection } from './connection.ts'

/** Whether services only speak mutual TLS; `detail` says by what. `strict` is null where it is not known. */
export type Mtls = { readonly strict: boolean | null; readonly detail: string }

/** Whether each proxy has the configuration that was last sent to it. `known` is false where nobody can be asked. */
export type Proxies = {
  readonly known: boolean
  readonly inSync: readonly string[]
  readonly behind: readonly { readonly pod: string; readonly what: string }[]
  readonly detail: string
}

/** The mode of mutual TLS in a namespace, as the mesh's own objects say it. */
export async function mtlsOf(connection: Connection, mesh: Mesh, namespace: string): Promise<Mtls> {
  switch (mesh) {
    case 'istio':
      return istioMtls(connection, namespace)
    case 'linkerd':
      return linkerdMtls(connection, namespace)
    case 'none':
      return { strict: false, detail: 'there is no mesh' }
  }
}

/** How far the proxies of a namespace are. */
export async function proxiesOf(connection: Connection, mesh: Mesh, namespace: string): Promise<Proxies> {
  switch (mesh) {
    case 'istio':
      return istioProxies(connection, namespace)
    case 'linkerd':
      return linkerdProxies(connection, namespace)
    case 'none':
      return { ...nothing, known: true, detail: 'there is no mesh' }
  }
}

const nothing: Proxies = { known: false, inSync: [], behind: [], detail: '' }

type PeerAuthentication = {
  readonly metadata: { readonly name: string }
  readonly spec?: {
    readonly selector?: unknown
    readonly mtls?: { readonly mode?: string }
    readonly portLevelMtls?: Readonly<Record<string, { readonly mode?: string }>>
  }
}

async function istioMtls(connection: Connection, namespace: string): Promise<Mtls> {
  const path = `/apis/security.istio.io/v1/namespaces/${namespace}/peerauthentications`
  const answer = await connection.request({ method: 'GET', path })
  if (answer.status !== 200) return { strict: null, detail: `not known: ${messageOf(answer)}` }
  const { items } = answer.body as { readonly items: readonly PeerAuthentication[] }
  const whole = items.find(({ spec }) => !spec?.selector)
  const mode = whole?.spec?.mtls?.mode ?? 'PERMISSIVE'
  // One that is stricter somewhere changes nothing; one that is looser is a hole, whoever made it.
  const loose = items
    .filter(({ spec }) => isLoose(spec?.mtls) || Object.values(spec?.portLevelMtls ?? {}).some(isLoose))
    .map(({ metadata }) => metadata.name)
  const holes = loose.length > 0 ? `; loosened by ${loose.join(', ')}` : ''
  return { strict: mode === 'STRICT' && loose.length === 0, detail: `${mode}${holes}` }
}

function isLoose(mtls: { readonly mode?: string } | undefined): boolean {
  return mtls?.mode === 'PERMISSIVE' || mtls?.mode === 'DISABLE'
}

async function linkerdMtls(connection: Connection, namespace: string): Promise<Mtls> {
  const answer = await connection.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}` })
  if (answer.status !== 200) return { strict: null, detail: `not known: ${messageOf(answer)}` }
  const { metadata } = answer.body as { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } }
  const policy = metadata.annotations?.['config.linkerd.io/default-inbound-policy'] ?? 'all-unauthenticated'
  return {
    strict: ['deny', 'all-authenticated', 'cluster-authenticated'].includes(policy),
    detail: `inbound policy ${policy}`,
  }
}

/** What istiod says of each proxy: nonces of what it sent and what was acknowledged. */
type Sync = Readonly<Record<string, string | undefined>>
const istiod = { namespace: 'istio-system', selector: 'app=istiod', port: 15014 } as const
const discovered = ['cluster', 'listener', 'route', 'endpoint'] as const

async function istioProxies(connection: Connection, namespace: string): Promise<Proxies> {
  const pods = await podNames(connection, istiod.namespace, istiod.selector)
  if (typeof pods === 'string') return { ...nothing, detail: pods }
  if (pods.length === 0) return { ...nothing, detail: 'istiod does not run' }
  const answers = await Promise.all(
    pods.map((name) => connection.askInside({ namespace: istiod.namespace, name }, istiod.port, '/debug/syncz')),
  )
  if (answers.some((answer) => answer === null)) {
    return {
      ...nothing,
      detail: 'istiod cannot be asked: it takes the right to create pods/portforward in istio-system',
    }
  }
  const all = answers.flatMap((answer) => (JSON.parse(answer ?? '[]') as readonly Sync[] | null) ?? [])
  return { ...judge(all, namespace), known: true, detail: '' }
}

/** Splits proxies into those that acknowledged what was last sent to them, and the others. */
export function judge(all: readonly Sync[], namespace: string): Pick<Proxies, 'inSync' | 'behind'> {
  const ours = all.filter(({ proxy = '' }) => proxy.endsWith(`.${namespace}`))
  const judged = ours.map((sync) => ({
    pod: (sync.proxy ?? '').slice(0, -namespace.length - 1),
    what: discovered.filter((type) => sync[`${type}_sent`] !== sync[`${type}_acked`]).join(', '),
  }))
  return {
    inSync: judged.filter(({ what }) => what === '').map(({ pod }) => pod),
    behind: judged.filter(({ what }) => what !== ''),
  }
}

/** Linkerd's proxies pull; one that is ready has identity, policy and discovery. */
async function linkerdProxies(connection: Connection, namespace: string): Promise<Proxies> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=linkerd.io%2Fcontrol-plane-ns`
  const answer = await connection.request({ method: 'GET', path })
  if (answer.status !== 200) return { ...nothing, detail: `not known: ${messageOf(answer)}` }
  const { items } = answer.body as { readonly items: readonly MeshedPod[] }
  const judged = items.map(({ metadata, status }) => {
    const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
    return { pod: metadata.name, ready: containers.some(({ name, ready }) => name === 'linkerd-proxy' && ready) }
  })
  return {
    known: true,
    inSync: judged.filter(({ ready }) => ready).map(({ pod }) => pod),
    behind: judged.filter(({ ready }) => !ready).map(({ pod }) => ({ pod, what: 'its proxy is not ready' })),
    detail: '',
  }
}

type MeshedPod = {
  readonly metadata: { readonly name: string }
  readonly status?: {
    readonly initContainerStatuses?: readonly { readonly name: string; readonly ready: boolean }[]
    readonly containerStatuses?: readonly { readonly name: string; readonly ready: boolean }[]
  }
}

/** Names of pods, or why they are not known. */
async function podNames(
  connection: Connection,
  namespace: string,
  selector: string,
): Promise<readonly string[] | string> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}&fieldSelector=status.phase%3DRunning`
  const answer = await connection.request({ method: 'GET', path })
  if (answer.status !== 200) return `not known: ${messageOf(answer)}`
  const { items } = answer.body as { readonly items: readonly { readonly metadata: { readonly name: string } }[] }
  return items.map(({ metadata }) => metadata.name)
}

/** The mesh that a namespace is in, by its own marks; null where there is no such namespace. @throws ClusterError */
export async function meshOn(connection: Connection, namespace: string): Promise<Mesh | null> {
  const answer = await connection.request({ method: 'GET', path: `/api/v1/namespaces/${namespace}` })
  if (answer.status === 404) return null
  if (answer.status !== 200) throw refusal(connection, { verb: 'get', resource: 'namespaces', namespace }, answer)
  const { metadata } = answer.body as {
    readonly metadata: {
      readonly labels?: Readonly<Record<string, string>>
      readonly annotations?: Readonly<Record<string, string>>
    }
  }
  if (metadata.labels?.['istio-injection'] === 'enabled') return 'istio'
  return metadata.annotations?.['linkerd.io/inject'] === 'enabled' ? 'linkerd' : 'none'
}
