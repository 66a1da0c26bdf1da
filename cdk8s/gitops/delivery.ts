import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { Operators } from '../operators.ts'

/** A file of objects, by its path inside of `charts/rendered/<environment>/<mesh>/`. */
export type GitopsFile = { readonly path: string; readonly objects: readonly Manifest[] }

/** What both controllers are rendered from. `repositoryDir` is where the rendered files stand in the repository. */
export type Delivery = {
  readonly site: Site
  readonly repositoryDir: string
  /** The system's objects by wave, as they are rendered; waves without any are left out. */
  readonly waves: readonly { readonly name: string; readonly objects: readonly Manifest[] }[]
  readonly operators: Operators
}

/** The folder of the operators' namespaces, which are there before everything and are never removed. */
export const namespacesDir = 'gitops/namespaces'
