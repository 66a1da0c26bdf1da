import type { MethodRef, PlannedExposure } from '#plan/plan.ts'
import { labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { corsFilterOf } from './cors.ts'
import { durationOf } from './duration.ts'

/** The kinds of route. */
export type RouteKind = 'HTTPRoute' | 'GRPCRoute'

type Route = { readonly kind: RouteKind; readonly name: string }

/** What Envoy Gateway does beyond a route: rate, deadline and size of what comes through it, and which pages may ask. */
export function routePolicies(
  site: Site,
  exposure: PlannedExposure,
  methods: readonly MethodRef[],
  route: Route,
): readonly Manifest[] {
  const cors = corsFilterOf(exposure)
  return [
    policy(site, exposure, 'BackendTrafficPolicy', route, traffic(exposure, methods)),
    ...(cors
      ? [policy(site, exposure, 'SecurityPolicy', route, { cors: { ...cors, maxAge: `${cors.maxAge}s` } })]
      : []),
  ]
}

/** How long what comes through one route may take: streams and the rest are in routes apart. */
export function deadlineOf({ deadlineMs, streamDeadlineMs }: PlannedExposure, methods: readonly MethodRef[]): number {
  return methods.some(({ streaming }) => streaming) ? streamDeadlineMs : deadlineMs
}

function traffic(exposure: PlannedExposure, methods: readonly MethodRef[]) {
  const { rateLimit, bodyBytesMax } = exposure
  // A stream would be held back until its end; its size is bounded by the application's own message limit.
  const whole = methods.every(({ streaming }) => !streaming)
  return {
    rateLimit: rateLimit ? { type: 'Local', local: { rules: rateRules(rateLimit) } } : undefined,
    requestBuffer: bodyBytesMax !== null && whole ? { limit: String(bodyBytesMax) } : undefined,
    timeout: { http: { requestTimeout: durationOf(deadlineOf(exposure, methods)) } },
  }
}

/** Buckets hold one second's worth: there is no burst beyond. */
function rateRules({ perSecond, perClient }: NonNullable<PlannedExposure['rateLimit']>): readonly object[] {
  const limitOf = (rate: number) => ({ requests: Math.max(1, Math.ceil(rate)), unit: 'Second' })
  const all = { limit: limitOf(perSecond) }
  if (!perClient) return [all]
  const limit = limitOf(perClient.perSecond)
  const each = (value: string) => ({ clientSelectors: [{ sourceCIDR: { type: 'Distinct', value } }], limit })
  // What a rule with a selector takes does not count towards the one without: a selector that everything fits does.
  const together = { clientSelectors: [{ path: { type: 'PathPrefix', value: '/' } }], ...all }
  return [all, together, each('0.0.0.0/0'), each('::/0')]
}

function policy(site: Site, exposure: PlannedExposure, kind: string, route: Route, spec: object): Manifest {
  return {
    apiVersion: 'gateway.envoyproxy.io/v1alpha1',
    kind,
    metadata: { name: route.name, namespace: site.namespace, labels: labelsOf(site, exposure.service, 'edge') },
    spec: { targetRefs: [{ group: 'gateway.networking.k8s.io', ...route }], ...spec },
  }
}
