import { type Fault, faultGrpcStatuses, faultHttpStatuses } from '#plan/fault.ts'
import { type Config, duration, extension, typed } from './config.ts'

const filterName = 'envoy.filters.http.fault'

/** The filter in its place in the chain. It is off and costs nothing until a route turns it on. */
export const faultFilter: Config = {
  ...extension(filterName, 'extensions.filters.http.fault.v3.HTTPFault'),
  disabled: true,
}

/** What a route carries for a fault to hit it. */
export function faultOf(fault: Fault, protocol: 'grpc' | 'http'): Config {
  return { [filterName]: typed('extensions.filters.http.fault.v3.HTTPFault', effectOf(fault, protocol)) }
}

function effectOf({ effect, percent }: Fault, protocol: 'grpc' | 'http'): Config {
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
