import type { Manifest } from '#providers/manifest.ts'
import { refusal } from './answers.ts'
import type { Connection } from './connection.ts'
import { ClusterError } from './failure.ts'

/** A kind that the API server knows. */
export type Kind = {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly resource: string
  readonly namespaced: boolean
  readonly verbs: readonly string[]
}

/** All kinds of a cluster, in every version that it serves. */
export type Kinds = {
  readonly all: readonly Kind[]
  of(object: Pick<Manifest, 'apiVersion' | 'kind'>): Kind | undefined
}

type Discovered = {
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string }
    readonly versions: readonly {
      readonly version: string
      readonly resources?: readonly {
        readonly resource: string
        readonly responseKind?: { readonly kind: string }
        readonly scope: string
        readonly verbs: readonly string[]
      }[]
    }[]
  }[]
}

const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'

/** Asks the API server for every kind that it serves: two requests, by the aggregated discovery that Kubernetes has since 1.30. */
export async function discoverKinds(connection: Connection): Promise<Kinds> {
  const answers = await Promise.all(
    ['/api', '/apis'].map((path) => connection.request({ method: 'GET', path, accept: aggregated })),
  )
  const all = answers.flatMap((answer) => {
    if (answer.status !== 200) {
      throw refusal(connection, { verb: 'get', resource: 'the list of kinds', namespace: undefined }, answer)
    }
    const found = answer.body as Discovered
    if (!found.items) throw tooOld(connection)
    return found.items.flatMap((group) =>
      group.versions.flatMap(({ version, resources = [] }) =>
        resources.map(({ resource, responseKind, scope, verbs }) => ({
          group: group.metadata?.name ?? '',
          version,
          kind: responseKind?.kind ?? '',
          resource,
          namespaced: scope === 'Namespaced',
          verbs,
        })),
      ),
    )
  })
  const byName = new Map(all.map((kind) => [`${apiVersionOf(kind)} ${kind.kind}`, kind]))
  return { all, of: ({ apiVersion, kind }) => byName.get(`${apiVersion} ${kind}`) }
}

/** The path of a kind's objects, or of one of them. */
export function pathOf(kind: Kind, namespace: string | undefined, name?: string): string {
  const { group, version, resource, namespaced } = kind
  const base = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
  const inside = namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${base}${inside}/${resource}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`
}

/** A kind's name as people and `kubectl auth can-i` write it: `deployments.apps`. */
export function resourceOf({ resource, group }: Pick<Kind, 'resource' | 'group'>): string {
  return group === '' ? resource : `${resource}.${group}`
}

/** The `apiVersion` of a kind's objects. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`
}

function tooOld({ context }: Connection): ClusterError {
  return new ClusterError(
    'INVALID',
    `The cluster of ${context} is older than Kubernetes 1.30, where discovery in one request begins. Upgrade it.`,
  )
}
