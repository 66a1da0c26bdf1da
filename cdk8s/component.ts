import type { Plan } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

/** The order in which a system reaches a cluster: each wave stands on the ones before it. */
export const waves = ['policies', 'data', 'workloads', 'observability'] as const
/** Namespaces with all policy; data services; workloads; observability. */
export type Wave = (typeof waves)[number]

/** Objects that belong together: one file, `<wave>/<name>.yaml`. They are written in the order of kind, then name. */
export type Component = { readonly wave: Wave; readonly name: string; readonly objects: readonly Manifest[] }

/**
 * What is rendered for one service in one wave. It may depend on the service's slice and the site alone: a slice that is
 * equal to the one before is not rendered again.
 */
export type ServicePart = {
  readonly wave: Wave
  readonly render: (site: Site, slice: ServiceSlice) => readonly Manifest[]
}

/** What is rendered once for a system. */
export type SystemPart = {
  readonly wave: Wave
  readonly name: string
  readonly render: (site: Site, plan: Plan) => readonly Manifest[]
}
