import type { Fault } from '#plan/fault.ts'
import type { Plan } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { openPaths, serviceAccess } from './authorization.ts'
import { breakerAnnotations } from './breaker.ts'
import { egress } from './egress.ts'
import { serviceRate } from './limits.ts'
import { callRoutes } from './routes.ts'

/** Linkerd's objects of one service: who may call it, how calls to it behave, and its rate. Faults are those on its methods. */
export function renderService(site: Site, slice: ServiceSlice, faults: readonly Fault[] = []): readonly Manifest[] {
  return [...serviceAccess(site, slice), ...serviceRate(site, slice), ...callRoutes(site, slice, faults)]
}

/** Linkerd's objects that a system has once. */
export function renderSystem(site: Site, plan: Plan): readonly Manifest[] {
  return [...openPaths(site), ...egress(site, plan)]
}

/** What a service's Kubernetes Service carries: its breaker. */
export function serviceAnnotations({ calledBy }: ServiceSlice): Readonly<Record<string, string>> {
  return breakerAnnotations(calledBy.map(({ breaker }) => breaker))
}
