import type { Egress, Plan, PlannedExternal } from '#plan/plan.ts'

/** One edge to a system outside, with that system. */
export type Reach = { readonly egress: Egress; readonly external: PlannedExternal }

/** The systems outside that a service declared to reach. */
export function egressOf(plan: Plan, service: string): readonly Reach[] {
  return plan.egress.flatMap((egress) => {
    const external = plan.externals.find((candidate) => candidate.name === egress.external)
    return egress.from === service && external ? [{ egress, external }] : []
  })
}
