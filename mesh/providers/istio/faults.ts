import type { RetryOn } from '#graph/policy.ts'
import { type Fault, faultAt, faultGrpcStatuses, faultHttpStatuses } from '#plan/fault.ts'
import type { Link, Protocol } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { addFilter, envoyFilter, typed } from './config.ts'
import { fromIdentity } from './limits.ts'
import { pathHeader } from './match.ts'
import { principalOf } from './mtls.ts'
import { duration, nameOf, type Spec } from './objects.ts'

const grpcNames: Readonly<Record<RetryOn, string>> = {
  unavailable: 'UNAVAILABLE',
  'deadline-exceeded': 'DEADLINE_EXCEEDED',
  'resource-exhausted': 'RESOURCE_EXHAUSTED',
  cancelled: 'CANCELLED',
  internal: 'INTERNAL',
}

/** A fault at the caller, as its rule in a VirtualService has it. Neither its retries nor its timeout apply to such a call. */
export function ruleFault({ effect, percent }: Fault, protocol: Protocol): Spec {
  const percentage = { value: percent }
  switch (effect.kind) {
    case 'delay':
      return { fault: { delay: { fixedDelay: duration(effect.delayMs), percentage } } }
    case 'abort': {
      const status =
        protocol === 'grpc'
          ? { grpcStatus: grpcNames[effect.status] }
          : { httpStatus: faultHttpStatuses[effect.status] }
      return { fault: { abort: { ...status, percentage } } }
    }
  }
}

/**
 * The faults of a service as a callee: filters in its sidecar, each for one caller and one method, so that retries and
 * breakers work as in earnest. They stay until the object is deleted.
 */
export function calleeFaults(
  site: Site,
  { service, calledBy }: ServiceSlice,
  faults: readonly Fault[],
): readonly Manifest[] {
  const where = { context: 'SIDECAR_INBOUND', port: ports.app } as const
  const filters = calledBy.flatMap((link) => linkFaults(site, link, faults))
  if (filters.length === 0) return []
  const patches = filters.map((filter, index) => addFilter(where, { name: `parley.fault.${index}`, ...filter }))
  const name = nameOf(service.name, 'faults')
  return [envoyFilter(site, { service: service.name }, { name, owner: service.name, priority: 20, patches })]
}

function linkFaults(site: Site, link: Link, faults: readonly Fault[]): readonly Spec[] {
  const methods = link.routes.flatMap((route) => route.methods)
  return methods.flatMap(({ verb, path }) => {
    const fault = faultAt(faults, { at: 'callee', from: link.from, to: link.to, path })
    if (!fault) return []
    const verbHeader = { name: ':method', string_match: { exact: verb } }
    const headers = [fromIdentity(principalOf(site, link.from)), verbHeader, pathHeader([path])]
    const config = { ...effectOf(fault, link.protocol), headers }
    return [{ typed_config: typed('extensions.filters.http.fault.v3.HTTPFault', config) }]
  })
}

function effectOf({ effect, percent }: Fault, protocol: Protocol): Spec {
  const percentage = { numerator: Math.round(percent * 10_000), denominator: 'MILLION' }
  switch (effect.kind) {
    case 'delay':
      return { delay: { fixed_delay: duration(effect.delayMs), percentage } }
    case 'abort':
      return protocol === 'grpc'
        ? { abort: { grpc_status: faultGrpcStatuses[effect.status], percentage } }
        : { abort: { http_status: faultHttpStatuses[effect.status], percentage } }
  }
}
