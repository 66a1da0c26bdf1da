import type { ServiceSlice } from '#plan/slices.ts'
import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { gatewayAccount } from './mtls.ts'
import { metadata } from './names.ts'

type Limited = Pick<ServiceSlice, 'service' | 'exposures'>

/**
 * The rate that each replica of a service takes: from all its callers together, and from outside, which is what the gateway
 * asks for. Beyond it RESOURCE_EXHAUSTED, or 429.
 */
export function serviceRate(site: Site, slice: ServiceSlice): readonly Manifest[] {
  const { service } = slice
  if (!isRateLimited(slice)) return []
  const edge = edgeRateOf(slice)
  return [
    {
      apiVersion: 'policy.linkerd.io/v1alpha1',
      kind: 'HTTPLocalRateLimitPolicy',
      metadata: metadata(site, service.name, service.name),
      spec: {
        targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: service.name },
        ...(service.rateLimit ? { total: rate(service.rateLimit.perSecond) } : {}),
        ...(edge ? { overrides: [{ ...rate(edge), clientRefs: [gatewayAccount(site)] }] } : {}),
      },
    },
  ]
}

/** Whether a service's port has a rate limit. */
export function isRateLimited(slice: Limited): boolean {
  return slice.service.protocol !== null && (slice.service.rateLimit !== null || edgeRateOf(slice) !== null)
}

/** What the gateway may ask of a service, a second: all its exposures together; null where one of them is not bounded. */
export function edgeRateOf({ exposures }: Pick<Limited, 'exposures'>): number | null {
  const rates = exposures.map(({ rateLimit }) => rateLimit?.perSecond ?? null)
  if (rates.length === 0 || rates.includes(null)) return null
  return rates.reduce((sum: number, one) => sum + (one ?? 0), 0)
}

function rate(perSecond: number): { readonly requestsPerSecond: number } {
  return { requestsPerSecond: Math.max(1, Math.ceil(perSecond)) }
}
