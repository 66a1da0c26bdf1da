import type { Plan, PlannedExternal } from '#plan/plan.ts'
import { externalPort, ports, type Site, standsIn } from '#providers/cluster.ts'

/** An external that its stand-in plays. */
export type Played = PlannedExternal & { readonly standIn: NonNullable<PlannedExternal['standIn']> }

/** The externals that stand-ins play on this site. */
export function playedExternals(site: Site, { externals }: Pick<Plan, 'externals'>): readonly Played[] {
  return externals.filter((external): external is Played => standsIn(site, external))
}

/** The port of a stand-in's page at its Service, where the external itself may have the usual one. */
export function pagePortOf(external: Played): number {
  return externalPort(external) === ports.web ? ports.web + 1 : ports.web
}
