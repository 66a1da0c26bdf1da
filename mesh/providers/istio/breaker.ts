import type { Breaker } from '#graph/policy.ts'
import { duration, type Spec } from './objects.ts'

/**
 * The breaker of one caller towards one callee, as ejection of its endpoints: `failures` in a row and an endpoint gets
 * nothing for `openMs`, longer each time it fails again soon after. All of them may be ejected, a lone replica too, and
 * none is tried while it is: Istio's panic threshold is 0 wherever `outlierDetection` stands.
 */
export function outlierDetection({ failures, openMs }: Breaker): Spec {
  return {
    consecutive5xxErrors: failures,
    interval: duration(Math.min(1_000, Math.max(50, Math.floor(openMs / 20)))),
    baseEjectionTime: duration(openMs),
    maxEjectionPercent: 100,
  }
}
