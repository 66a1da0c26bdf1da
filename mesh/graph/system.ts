import type { EnvironmentChange, EnvironmentName } from './environment.ts'
import type { ExposureNode } from './exposure.ts'
import type { SagaNode } from './saga.ts'
import type { ServiceNode } from './service.ts'

/** How much a system may amplify and how deep it may call; the checks hold it to these. */
export type SystemBounds = {
  /** Synchronous callees of one service. Default 2. */
  readonly syncDownstreamMax?: number
  /** Synchronous hops from an entry. Default 2. */
  readonly syncDepthMax?: number
  /** Attempts at a leaf for one request at the entry. Default 3. */
  readonly attemptsAtLeafMax?: number
}

/** A whole system. Topics, queues, stores and externals belong to it by being named in its services' edges. */
export type SystemNode = {
  readonly kind: 'system'
  readonly name: string
  readonly services: readonly ServiceNode[]
  readonly exposures: readonly ExposureNode[]
  readonly sagas: readonly SagaNode[]
  readonly environments: Readonly<Partial<Record<EnvironmentName, EnvironmentChange>>>
  readonly bounds: SystemBounds
}

/** Declares a system. Its name becomes the namespace: a DNS-1123 label. A system file exports exactly one. */
export function system(
  name: string,
  spec: {
    services: readonly ServiceNode[]
    exposures?: readonly ExposureNode[]
    sagas?: readonly SagaNode[]
    environments?: Readonly<Partial<Record<EnvironmentName, EnvironmentChange>>>
    bounds?: SystemBounds
  },
): SystemNode {
  const { services, exposures = [], sagas = [], environments = {}, bounds = {} } = spec
  return { kind: 'system', name, services, exposures, sagas, environments, bounds }
}
