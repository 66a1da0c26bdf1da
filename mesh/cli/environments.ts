import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSettings, SettingsError } from '#cdk8s/settings.ts'
import { type EnvironmentName, environments } from '#graph/environment.ts'
import { type Mesh, meshes, type Settings } from '#providers/cluster.ts'
import { UsageError } from './exit.ts'
import { projectDir } from './load.ts'

/** The environments that are clusters. */
export const clusterEnvironments = ['kind', 'production'] as const
/** One of them. */
export type ClusterEnvironment = (typeof clusterEnvironments)[number]

/** Reads an environment's name. Throws a UsageError that lists those there are. */
export function environmentName(given: string): EnvironmentName {
  return oneOf(
    'environment',
    Object.values(environments).map(({ name }) => name),
    given,
  )
}

/** Reads the name of an environment that is a cluster. Throws a UsageError that lists those there are. */
export function clusterEnvironment(given: string): ClusterEnvironment {
  return oneOf('cluster environment', clusterEnvironments, given)
}

/** Reads a mesh's name. Throws a UsageError that lists those there are. */
export function meshName(given: string): Mesh {
  return oneOf('mesh', meshes, given)
}

/** The file of an environment's settings: the given one, else that of `charts/settings/`. */
export function settingsFile(environment: ClusterEnvironment, given?: string): string {
  return given ?? join(projectDir, `charts/settings/${environment}.yaml`)
}

/** Reads the settings of an environment, by default those of `charts/settings/`. Throws a UsageError for what cannot be used. */
export function settingsFor(environment: ClusterEnvironment, file?: string): Settings {
  const path = settingsFile(environment, file)
  if (!existsSync(path))
    throw new UsageError(`There is no file ${path}: it holds the image, hosts and classes of ${environment}.`)
  try {
    return parseSettings(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (error instanceof SettingsError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

function oneOf<const T extends string>(what: string, allowed: readonly T[], given: string): T {
  const found = allowed.find((each) => each === given)
  if (found === undefined) throw new UsageError(`There is no ${what} ${given}; there are ${allowed.join(', ')}.`)
  return found
}
