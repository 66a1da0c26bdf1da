import type { Manifest } from '#providers/manifest.ts'
import { refusal } from './answers.ts'
import { concurrently } from './concurrently.ts'
import type { ApiResponse, Connection } from './connection.ts'
import { apiVersionOf, type Kind, type Kinds, pathOf, resourceOf } from './kinds.ts'
import type { Live } from './readiness.ts'

/** Who writes our objects, in their `managedFields`. */
export const fieldManager = 'parley'
/** Requests in flight at once: enough to hide the network, few enough for the server's fairness. */
export const inFlightMax = 8

/** An object that we applied to the cluster once. */
export type Owned = { readonly object: Live; readonly kind: Kind }

/** What identifies an object whatever its version: `group/Kind namespace/name`. */
export function keyOf({ apiVersion, kind, metadata }: Pick<Live, 'apiVersion' | 'kind' | 'metadata'>): string {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
  return `${group}/${kind} ${metadata.namespace ?? ''}/${metadata.name}`
}

/** An object's name for people: `Deployment shop/orders`. */
export function nameOf({ kind, metadata }: Pick<Manifest, 'kind' | 'metadata'>): string {
  return `${kind} ${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}`
}

/**
 * Every object of a system that was applied by us, of any kind that the cluster has, so that what is rendered no longer is found
 * too. Labels alone do not tell: operators and ReplicaSets copy them to what they make. `unseen` are the kinds
 * that we may not list, which counts only where we render some.
 */
export async function ownedBy(
  connection: Connection,
  kinds: Kinds,
  system: string,
  namespaces: readonly string[],
): Promise<{ readonly owned: readonly Owned[]; readonly unseen: readonly string[] }> {
  const unseen: string[] = []
  const found = await concurrently(deletable(kinds), 2 * inFlightMax, async (kind) => {
    const listed = await list(connection, kind, system, namespaces)
    if (listed === null) unseen.push(resourceOf(kind))
    return (listed ?? []).filter(isOurs).map((object) => ({
      kind,
      // Items of a list leave out what all of them share.
      object: { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind },
    }))
  })
  return { owned: found.flat(), unseen }
}

/** One version of each kind, the first that the server names, which is the one that it prefers. */
function deletable({ all }: Kinds): readonly Kind[] {
  const once = new Map<string, Kind>()
  for (const kind of all) {
    const key = resourceOf(kind)
    if (!once.has(key) && kind.verbs.includes('list') && kind.verbs.includes('delete')) once.set(key, kind)
  }
  return [...once.values()].filter(({ kind, group }) => kind !== 'Event' && group !== 'coordination.k8s.io')
}

type Managed = {
  readonly metadata: { readonly managedFields?: readonly { readonly manager?: string; readonly operation?: string }[] }
}

function isOurs({ metadata }: Live & Managed): boolean {
  return (metadata.managedFields ?? []).some(
    ({ manager, operation }) => manager === fieldManager && operation === 'Apply',
  )
}

/** Null where we may not list them. Who has no rights in the whole cluster is asked for its namespaces alone. */
async function list(
  connection: Connection,
  kind: Kind,
  system: string,
  namespaces: readonly string[],
): Promise<readonly (Live & Managed)[] | null> {
  const everywhere = await listIn(connection, kind, system, undefined)
  if (everywhere.status !== 403 || !kind.namespaced) return itemsOf(connection, kind, everywhere)
  const each = await Promise.all(namespaces.map((namespace) => listIn(connection, kind, system, namespace)))
  const items = each.map((answer) => itemsOf(connection, kind, answer))
  return items.some((one) => one === null) ? null : items.flatMap((one) => one ?? [])
}

function listIn(
  connection: Connection,
  kind: Kind,
  system: string,
  namespace: string | undefined,
): Promise<ApiResponse> {
  const selector = `app.kubernetes.io/managed-by=${fieldManager},app.kubernetes.io/part-of=${system}`
  const path = `${pathOf(kind, namespace)}?labelSelector=${encodeURIComponent(selector)}`
  return connection.request({ method: 'GET', path })
}

function itemsOf(connection: Connection, kind: Kind, answer: ApiResponse): readonly (Live & Managed)[] | null {
  if (answer.status === 200) return (answer.body as { items: readonly (Live & Managed)[] }).items ?? []
  // Some kinds of aggregated API servers can be named but not listed.
  if ([403, 404, 405].includes(answer.status)) return null
  throw refusal(connection, { verb: 'list', resource: resourceOf(kind), namespace: undefined }, answer)
}
