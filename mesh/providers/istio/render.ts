import type { Fault } from '#plan/fault.ts'
import type { Egress, Plan } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { allowCaller, allowExposure, allowIntoGateway, defaultDeny, verifyTokens } from './authorization.ts'
import { envoyFilter, mergeManager, mergeRoutes } from './config.ts'
import { applicationDestination, linkDestination } from './destinations.ts'
import { bodyLimit, edge } from './edge.ts'
import {
  externalDestination,
  externalEntry,
  externalRoutes,
  sidecar,
  sidecarOfOthers,
  subscribersEntry,
  systemDataServices,
} from './egress.ts'
import { calleeFaults } from './faults.ts'
import { requestBounds } from './http.ts'
import { rateLimits } from './limits.ts'
import { strictMtls, withoutMtls } from './mtls.ts'
import { calleeRoutes, streamBounds } from './routes.ts'
import { telemetry } from './tracing.ts'

/** Everything of Istio that is about one service: who may call it and how, whom it reaches and how, and faults at it. */
export function renderService(site: Site, slice: ServiceSlice, faults: readonly Fault[] = []): readonly Manifest[] {
  const { service, calls, calledBy, egress, exposures } = slice
  return [
    ...calledBy.map((link) => allowCaller(site, link)),
    ...exposures.map((exposure) => allowExposure(site, exposure)),
    ...verifyTokens(site, service.name, exposures),
    sidecar(site, slice),
    ...subscribersEntry(site, slice),
    ...calleeRoutes(site, service.name, calledBy, faults),
    ...streamBounds(site, slice),
    ...applicationDestination(site, slice),
    ...calls.map((link) => linkDestination(site, link)),
    ...egress.map((reach) => externalDestination(site, reach.egress, reach.external)),
    ...rateLimits(site, slice),
    ...exposures.flatMap((exposure) => bodyLimit(site, exposure)),
    ...calleeFaults(site, slice, faults),
  ]
}

/** Everything of Istio that a system has once: its defaults, its Gateway's bounds, its data services, what is outside. */
export function renderSystem(site: Site, plan: Plan, faults: readonly Fault[] = []): readonly Manifest[] {
  const callers = callersByExternal(plan)
  return [
    strictMtls(site),
    defaultDeny(site),
    sidecarOfOthers(site),
    telemetry(site),
    sidecars(site),
    ...(plan.exposures.length > 0 ? [allowIntoGateway(site)] : []),
    ...edge(site, plan.exposures),
    ...systemDataServices(site, plan).map((service) => withoutMtls(site, service)),
    ...plan.externals.flatMap((external) => [
      ...externalEntry(site, external),
      ...externalRoutes(site, external, callers.get(external.name) ?? [], faults),
    ]),
  ]
}

/**
 * How much earlier than a gRPC caller its sidecar gives up. Whoever is first decides what is known: a call that the caller
 * cancels says nothing of the callee, one that runs out here counts as its failure.
 */
const earlier = '0.010s'

/** What every sidecar needs and no object of Istio's can say. */
function sidecars(site: Site): Manifest {
  // An endpoint that was ejected is otherwise taken out up to a second later, by Envoy's gathering of changes.
  const atOnce = {
    applyTo: 'CLUSTER',
    match: { context: 'SIDECAR_OUTBOUND' },
    patch: { operation: 'MERGE', value: { common_lb_config: { update_merge_window: '0s' } } },
  }
  const patches = [
    atOnce,
    mergeRoutes('SIDECAR_OUTBOUND', { grpc_timeout_offset: earlier }),
    mergeManager({ context: 'SIDECAR_INBOUND', port: ports.app }, requestBounds()),
  ]
  return envoyFilter(site, 'all', { name: 'sidecars', owner: site.system, priority: 10, patches })
}

function callersByExternal(plan: Plan): ReadonlyMap<string, readonly Egress[]> {
  const callers = new Map<string, Egress[]>()
  for (const egress of plan.egress) {
    const list = callers.get(egress.external)
    if (list) list.push(egress)
    else callers.set(egress.external, [egress])
  }
  return callers
}
