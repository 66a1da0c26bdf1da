import { type Fault, faultGrpcStatuses, faultHttpStatuses } from '#plan/fault.ts'
import type { Protocol } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { fitted, ports, type Site } from '#providers/cluster.ts'

/** The header that tells the fault backend which status to answer with: a number, of gRPC or of HTTP. */
const faultHeader = 'x-parley-fault'

/** The Service that answers with faults. Where there is none, a call that should fail does so as UNKNOWN, or with 500. */
function faultBackend({ system }: Pick<Site, 'system'>): string {
  return fitted(`${system}-fault`)
}

/**
 * The backends of a faulty route: the callee, and for the share of calls that fail the fault backend, which is told the
 * status. Retries choose anew, so they recover; the callee's breaker sees nothing.
 */
export function faultyBackends(site: Site, callee: string, fault: Fault | undefined, protocol: Protocol): object {
  if (fault?.effect.kind !== 'abort') return {}
  const { status } = fault.effect
  const told = protocol === 'grpc' ? faultGrpcStatuses[status] : faultHttpStatuses[status]
  const failing = Math.round(fault.percent * 100)
  const filter = {
    type: 'RequestHeaderModifier',
    requestHeaderModifier: { set: [{ name: faultHeader, value: String(told) }] },
  }
  return {
    backendRefs: [
      { group: '', kind: 'Service', name: callee, port: ports.app, weight: 10_000 - failing },
      { group: '', kind: 'Service', name: faultBackend(site), port: ports.app, weight: failing, filters: [filter] },
    ],
  }
}

/**
 * Why a fault cannot be made here, or null. A route is the callee's and holds for all its callers, so a fault is made only
 * where the declared caller is the only one: an experiment that also hits others would not be the one that was asked for.
 */
export function faultRefusal(slice: ServiceSlice, fault: Fault): 'at' | 'delay' | 'callers' | null {
  if (fault.effect.kind === 'delay') return 'delay'
  if (fault.at === 'caller') return 'at'
  const others = slice.calledBy.some(
    ({ from, routes }) =>
      from !== fault.from && routes.some(({ methods }) => methods.some(({ path }) => hits(fault, path))),
  )
  const outside = slice.exposures.some(({ methods }) => methods.some(({ path }) => hits(fault, path)))
  return others || outside ? 'callers' : null
}

function hits(fault: Fault, path: string): boolean {
  return fault.path === null || fault.path === path
}
