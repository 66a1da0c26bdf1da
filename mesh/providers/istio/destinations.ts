import type { Link } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { hostOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { outlierDetection } from './breaker.ts'
import { applicationLimits, concurrency } from './limits.ts'
import { mutualTls } from './mtls.ts'
import { istioObject, nameOf } from './objects.ts'
import { retryBudget } from './retries.ts'

/**
 * How a service is reached by whom no other rule is for, which is the Gateway. It has no breaker there: a Gateway that
 * ejected a service would refuse everyone for the failures of one.
 */
export function applicationDestination(site: Site, { service }: ServiceSlice): readonly Manifest[] {
  const { name, protocol } = service
  if (!protocol) return []
  const trafficPolicy = { tls: mutualTls(site, name), connectionPool: applicationLimits(protocol) }
  const spec = { host: hostOf(site, name), exportTo: ['.'], trafficPolicy }
  return [istioObject(site, 'DestinationRule', { name, owner: name, spec })]
}

/** How one caller reaches one callee: its breaker, its bounds, its budget of retries. */
export function linkDestination(site: Site, { from, to, protocol, breaker, limits, routes }: Link): Manifest {
  return istioObject(site, 'DestinationRule', {
    name: nameOf(from, to),
    owner: from,
    spec: {
      host: hostOf(site, to),
      exportTo: ['.'],
      workloadSelector: { matchLabels: { app: from } },
      trafficPolicy: {
        tls: mutualTls(site, to),
        connectionPool: concurrency(limits, protocol),
        outlierDetection: outlierDetection(breaker),
        ...retryBudget(routes.map((route) => route.retry)),
      },
    },
  })
}
