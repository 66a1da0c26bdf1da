import { dataKinds } from '#cdk8s/data/objects.ts'
import { refusal } from './answers.ts'
import { concurrently } from './concurrently.ts'
import type { Connection } from './connection.ts'
import { inFlightMax, keyOf, type Owned } from './inventory.ts'
import { pathOf, resourceOf } from './kinds.ts'

/** What is on the cluster and rendered no longer: `kept` holds data, which no command removes unasked. */
export type Leftovers = { readonly removable: readonly Owned[]; readonly kept: readonly Owned[] }

/** Kinds whose deletion deletes data, those in which it lies included. */
const holdsData: ReadonlySet<string> = new Set(['/Namespace', '/PersistentVolumeClaim', ...dataKinds])

/** What we applied once and is not among `rendered`, which holds keys. Pure. */
export function leftovers(owned: readonly Owned[], rendered: ReadonlySet<string>): Leftovers {
  const old = owned.filter(({ object }) => !rendered.has(keyOf(object)))
  const withData = ({ kind }: Owned): boolean => holdsData.has(`${kind.group}/${kind.kind}`)
  return { removable: old.filter((one) => !withData(one)), kept: old.filter(withData) }
}

/** Deletes objects, each only as it was when it was listed. What is gone already is fine. @throws ClusterError */
export async function removeAll(connection: Connection, objects: readonly Owned[]): Promise<void> {
  await concurrently(objects, inFlightMax, async ({ object, kind }) => {
    const { namespace, name, uid } = object.metadata
    const answer = await connection.request({
      method: 'DELETE',
      path: pathOf(kind, namespace, name),
      body: { propagationPolicy: 'Background', ...(uid && { preconditions: { uid } }) },
    })
    if (answer.status === 404 || answer.status === 409 || answer.status < 300) return
    throw refusal(connection, { verb: 'delete', resource: resourceOf(kind), namespace }, answer)
  })
}
