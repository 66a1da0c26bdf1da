import type { Plan, PlannedExposure } from '#plan/plan.ts'
import type { Mesh } from '#providers/cluster.ts'
import { notSupported as notByIstio } from '#providers/istio/not-supported.ts'
import * as istio from '#providers/istio/render.ts'
import { notSupported as notByLinkerd } from '#providers/linkerd/not-supported.ts'
import * as linkerd from '#providers/linkerd/render.ts'
import type { NotSupported } from '#providers/manifest.ts'
import type { ServicePart, SystemPart } from './component.ts'

/** What a mesh is told of each service; nothing where there is none. */
export const servicePolicy: ServicePart = {
  wave: 'policies',
  render(site, slice) {
    switch (site.mesh) {
      case 'istio':
        return istio.renderService(site, slice)
      case 'linkerd':
        return linkerd.renderService(site, slice)
      case 'none':
        return []
    }
  },
}

/** What a mesh is told once a system. */
export const systemPolicy: SystemPart = {
  wave: 'policies',
  name: 'system.mesh',
  render(site, plan) {
    switch (site.mesh) {
      case 'istio':
        return istio.renderSystem(site, plan)
      case 'linkerd':
        return linkerd.renderSystem(site, plan)
      case 'none':
        return []
    }
  },
}

/** What a plan asks for and a mesh does not do, each with the reason: to be said wherever something is rendered. */
export function notSupportedBy(plan: Plan, mesh: Mesh): readonly NotSupported[] {
  switch (mesh) {
    case 'istio':
      return notByIstio(plan)
    case 'linkerd':
      return notByLinkerd(plan)
    case 'none':
      return [
        ...(plan.links.length + plan.egress.length === 0 ? [] : [withoutMesh]),
        ...plan.exposures.flatMap(withoutKeys),
      ]
  }
}

/** Envoy Gateway stands at the edge of both; Linkerd's provider says the same. */
function withoutKeys({ name, authentication }: PlannedExposure): readonly NotSupported[] {
  if (authentication.kind !== 'jwt') return []
  const reason =
    "Envoy Gateway does not find an issuer's keys by its name, which is all that is declared: it lets nobody in"
  return [{ where: `exposure ${name}`, what: 'authentication by token', reason }]
}

const withoutMesh: NotSupported = {
  where: 'every call',
  what: 'mutual TLS, access by method, retries, breakers, limits',
  reason: 'there is no proxy: NetworkPolicies alone hold the edges apart, and the deadline is the caller’s own',
}
