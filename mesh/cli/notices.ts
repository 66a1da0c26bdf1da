import { notSupportedBy } from '#cdk8s/mesh-parts.ts'
import { unsignedExposures } from '#cdk8s/workloads/edge.ts'
import type { Plan } from '#plan/plan.ts'
import { type Mesh, type Settings, siteOf } from '#providers/cluster.ts'
import { type ClusterEnvironment, settingsFile } from './environments.ts'

/** What a plan asks for and does not get on a mesh with these settings, a line each: to be said wherever something is rendered. */
export function gapsOf(plan: Plan, mesh: Mesh, settings: Settings): readonly string[] {
  const gaps = [...notSupportedBy(plan, mesh), ...unsignedExposures(siteOf(plan, mesh, settings), plan)]
  return gaps.map(({ where, what, reason }) => `${where}: ${what}: ${reason}`)
}

/** That production has no digest of its image, with the file and what to do; null where it needs none, or has one. `given` is the settings file that was asked for. */
export function unpinned(environment: ClusterEnvironment, { image }: Settings, given?: string): string | null {
  if (environment !== 'production' || image.digest !== null) return null
  const tagged = `${image.repository}:${image.tag}`
  return `${settingsFile(environment, given)}: image.digest is null, so what is rendered names ${tagged}, which may become another image: set the digest that the release workflow wrote, or that docker buildx imagetools inspect ${tagged} shows.`
}
