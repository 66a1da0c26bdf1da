import { join, relative } from 'node:path'
import { type Operators, OperatorsError } from '#cdk8s/operators.ts'
import { readOperators } from '#mesh/cluster/operator-files.ts'
import type { Mesh } from '#providers/cluster.ts'
import { type ClusterEnvironment, clusterEnvironment, meshName } from './environments.ts'
import { UsageError } from './exit.ts'
import { projectDir } from './load.ts'

/** The cluster that `parley up --target kind` makes. */
export const kindFile = join(projectDir, 'kind-config.yaml')

/** The mesh of a name, Istio where none is given. Throws a UsageError that lists them. */
export function meshOr(given: string | undefined): Mesh {
  return meshName(given || 'istio')
}

/** The environment of a name; without one, kind on a context of kind and production elsewhere. Throws a UsageError that lists them. */
export function environmentOn(context: string, given: string | undefined): ClusterEnvironment {
  return clusterEnvironment(given || (context.startsWith('kind-') ? 'kind' : 'production'))
}

/** The operators' list with the values of an environment. Throws a UsageError where a file of it is wrong. */
export function operatorsOf(environment: ClusterEnvironment): Operators {
  try {
    return readOperators(projectDir, environment)
  } catch (error) {
    if (error instanceof OperatorsError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** A system's file from the checkout's root, as a build of the image sees it. Throws a UsageError for one that is elsewhere. */
export function fileInCheckout(file: string): string {
  const inside = relative(projectDir, file)
  if (!inside.startsWith('..') && inside !== '') return inside
  throw new UsageError(
    `${file} is not in ${projectDir}. The image of the services is built from that folder: put the system into it, such as under examples/.`,
  )
}
