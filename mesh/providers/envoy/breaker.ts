import type { Breaker } from '#graph/policy.ts'
import { type Config, duration } from './config.ts'

/** Envoy's own ceiling on an ejection, which grows each time a callee fails again; never below the declared time. */
const ejectionMaxMs = 300_000

/**
 * The breaker of one caller towards one callee, as ejection of its endpoints: `failures` in a row, whether refused, reset,
 * timed out or answered with 5xx (UNAVAILABLE and INTERNAL are), and the endpoint gets nothing for `openMs`; longer each
 * time it fails again soon after.
 */
export function outlierDetection({ failures, openMs }: Breaker): Config {
  return {
    consecutive_5xx: failures,
    enforcing_consecutive_5xx: 100,
    enforcing_consecutive_gateway_failure: 0,
    enforcing_success_rate: 0,
    enforcing_failure_percentage: 0,
    interval: duration(Math.min(1_000, Math.max(50, Math.floor(openMs / 20)))),
    base_ejection_time: duration(openMs),
    max_ejection_time: duration(Math.max(ejectionMaxMs, openMs)),
    max_ejection_percent: 100,
  }
}

/** Without this a callee whose endpoints are all ejected would be tried all the same ("panic"). */
export const noPanic: Config = { healthy_panic_threshold: { value: 0 }, update_merge_window: '0s' }
