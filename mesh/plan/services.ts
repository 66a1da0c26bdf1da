import {
  type Api,
  apiName,
  descriptionPath,
  methodFacts,
  methodsOf,
  type RestApi,
  unversionedRoutes,
} from '#graph/api.ts'
import type { Environment } from '#graph/environment.ts'
import type { EdgeRate } from '#graph/policy.ts'
import type { ServiceNode } from '#graph/service.ts'
import { module } from '#graph/start.ts'
import type { SystemNode } from '#graph/system.ts'
import { sortedBy } from './freeze.ts'
import type {
  Identity,
  MethodRef,
  PlannedApi,
  PlannedEdgeRate,
  PlannedExposure,
  PlannedService,
  PlannedStore,
  PlannedVersion,
  Protocol,
} from './plan.ts'

/** Every service with its defaults filled in, by name. */
export function deriveServices(system: SystemNode, env: Environment): PlannedService[] {
  return sortedBy(
    system.services.map((service): PlannedService => {
      const { spec, name } = service
      return {
        name,
        identity: identityOf(name, system.name, env.trustDomain),
        start: spec.start ?? module(`services/${name}/main.ts`),
        replicas: spec.replicas ?? env.replicas,
        resources: spec.resources ?? { cpuMillis: 100, memoryMiB: 192 },
        objective: spec.objective ?? { availability: 0.999, p99Ms: 500 },
        protocol: protocolOf(service),
        apis: (spec.exposes ?? []).map(plannedApi),
        rateLimit: spec.rateLimit ?? null,
      }
    }),
    (service) => service.name,
  )
}

/** One database and one role a store, by owner and name. */
export function deriveStores(system: SystemNode, env: Environment): PlannedStore[] {
  const stores = system.services.flatMap((service) =>
    (service.spec.owns ?? []).map((store) => ({
      owner: service.name,
      database: store.name ?? service.name,
      role: service.name,
      connectionsMax: store.connectionsMax,
      instances: env.databaseInstances,
      storageGiB: env.storage.databaseGiB,
    })),
  )
  return sortedBy(stores, (store) => `${store.database} ${store.owner}`)
}

/** Where the first REST interface of a host describes itself, beside the path that has its name. */
const description: MethodRef = { name: 'openapi', verb: 'GET', path: '/openapi.json', streaming: false }

/** Where each REST interface describes itself, whatever else is open at its host. */
function ownDescription(api: RestApi): MethodRef {
  return { name: `openapi-${api.name}`, verb: 'GET', path: descriptionPath(api), streaming: false }
}

/** Every way in, by name. */
export function deriveExposures(system: SystemNode, env: Environment): PlannedExposure[] {
  const exposures = sortedBy(
    system.exposures.map(({ kind: _kind, accepts: _accepts, service, api, methods, rateLimit, origins, ...rest }) => ({
      ...rest,
      origins: env.name === 'production' ? origins.filter((origin) => !isOfDeveloper(origin)) : origins,
      rateLimit: rateLimit && edgeRate(rateLimit),
      service: service.name,
      api: apiName(api),
      methods: [...methodRefs(api, methods), ...(api.kind === 'rest' ? [description, ownDescription(api)] : [])],
      versions: versionsOf(api),
    })),
    (exposure) => exposure.name,
  )
  return describedOnce(exposures)
}

/** A page from the visitor's own machine: a developer's, or anything that happens to run on a stranger's. */
function isOfDeveloper(origin: string): boolean {
  return URL.canParse(origin) && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(origin).hostname)
}

/** One path leads to one service: of several interfaces on one host the first by name has the path without a name. */
function describedOnce(exposures: readonly PlannedExposure[]): PlannedExposure[] {
  const hosts = new Set<string>()
  return exposures.map((exposure) => {
    if (!exposure.methods.includes(description)) return exposure
    if (hosts.has(exposure.host)) {
      return { ...exposure, methods: exposure.methods.filter((method) => method !== description) }
    }
    hosts.add(exposure.host)
    return exposure
  })
}

/** The service that exposes each interface. */
export function exposersOf(system: SystemNode): ReadonlyMap<Api, ServiceNode> {
  const exposers = new Map<Api, ServiceNode>()
  for (const service of system.services) {
    for (const api of service.spec.exposes ?? []) if (!exposers.has(api)) exposers.set(api, service)
  }
  return exposers
}

/** How a service's port is spoken, by its first interface; the checks refuse a mixture. */
export function protocolOf(service: ServiceNode): Protocol | null {
  const first = service.spec.exposes?.[0]
  if (!first) return null
  return first.kind === 'service' ? 'grpc' : 'http'
}

/** A method in the words of the wire. */
export function methodRef(api: Api, name: string): MethodRef {
  const { verb, path, streaming, streamsIn } = methodFacts(api, name)
  return { name, verb, path, streaming, ...(streamsIn && { streamsIn }) }
}

function identityOf(name: string, namespace: string, trustDomain: string): Identity {
  return { name, spiffe: `spiffe://${trustDomain}/ns/${namespace}/sa/${name}` }
}

function plannedApi(api: Api): PlannedApi {
  const kind = api.kind === 'service' ? 'grpc' : api.kind
  return { name: apiName(api), kind, methods: methodRefs(api, methodsOf(api)) }
}

/** Methods by name, each with its route without a version where it has one. */
function methodRefs(api: Api, names: readonly string[]): readonly MethodRef[] {
  const declared = names.map((name) => methodRef(api, name))
  const unversioned = unversionedRoutes(api).filter(({ of }) => names.includes(of))
  return [...declared, ...unversioned.map(({ of, ...where }) => ({ ...methodRef(api, of), ...where }))]
}

function edgeRate({ perSecond, burst, perClient }: EdgeRate): PlannedEdgeRate {
  return {
    perSecond,
    burst,
    perClient: perClient ? { ...perClient, clientsMax: perClient.clientsMax ?? 10_000 } : null,
  }
}

function versionsOf(api: Api): readonly PlannedVersion[] {
  if (api.kind !== 'rest') return []
  return Object.entries(api.versions ?? {}).map(([name, { deprecated = null, sunset = null }]) => ({
    name,
    deprecated,
    sunset,
  }))
}
