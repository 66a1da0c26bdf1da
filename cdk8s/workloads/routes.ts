import type { MethodRef, PlannedExposure, Protocol } from '#plan/plan.ts'
import { labelsOf, ports, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import type { ServicePart } from '../component.ts'
import { corsFilterOf } from './cors.ts'
import { durationOf } from './duration.ts'
import { hostOfExposure, parentsOf } from './edge.ts'
import { deadlineOf, type RouteKind, routePolicies } from './route-policies.ts'

/** The routes through which the edge lets requests in: exactly the methods of what is exposed. */
export const routes: ServicePart = {
  wave: 'workloads',
  render: (site, { service, exposures }) =>
    service.protocol === null
      ? []
      : exposures.flatMap((exposure) => routesOf(site, exposure, service.protocol as Protocol)),
}

/** An object holds so many matches. */
const matchesMax = 64

/**
 * Istio's GRPCRoute has neither deadlines nor CORS, so there gRPC is let in by path, as HTTP. Envoy Gateway has both in
 * policies, and translates gRPC-Web for GRPCRoutes.
 *
 * Envoy Gateway cannot find an issuer's keys by its name, which is all that a declaration has: an exposure that asks for
 * tokens lets nobody in there.
 */
function routesOf(site: Site, exposure: PlannedExposure, protocol: Protocol): readonly Manifest[] {
  if (site.mesh !== 'istio' && exposure.authentication.kind === 'jwt') return []
  const kind: RouteKind = protocol === 'grpc' && site.mesh !== 'istio' ? 'GRPCRoute' : 'HTTPRoute'
  return routeGroups(exposure).flatMap(({ name, methods }) => {
    const rule = kind === 'GRPCRoute' ? grpcRule(methods) : httpRule(site, exposure, methods, protocol)
    const host = hostOfExposure(site, exposure)
    const route: Manifest = {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind,
      metadata: { name, namespace: site.namespace, labels: labelsOf(site, exposure.service, 'edge') },
      spec: {
        parentRefs: parentsOf(site),
        hostnames: host === '*' ? undefined : [host],
        rules: [{ ...rule, backendRefs: [{ name: exposure.service, port: ports.app }] }],
      },
    }
    return [route, ...(site.mesh === 'istio' ? [] : routePolicies(site, exposure, methods, { kind, name }))]
  })
}

/** Streams have a route of their own, because a deadline is of a whole route. */
function routeGroups(exposure: PlannedExposure): readonly { name: string; methods: readonly MethodRef[] }[] {
  // A method that browsers ask about before they call it has two.
  const methodsMax = exposure.origins.length > 0 ? matchesMax / 2 : matchesMax
  const numbered = (base: string, streaming: boolean) =>
    chunks(
      exposure.methods.filter((method) => method.streaming === streaming),
      methodsMax,
    ).map((some, index) => ({ name: `${base}${index === 0 ? '' : `-${index + 1}`}`, methods: some }))
  return [...numbered(`${exposure.name}.edge`, false), ...numbered(`${exposure.name}.streams`, true)]
}

/** Envoy Gateway has what pages of other origins may do in a policy (`routePolicies`). */
function httpRule({ mesh }: Site, exposure: PlannedExposure, methods: readonly MethodRef[], protocol: Protocol) {
  const cors = corsFilterOf(exposure)
  const deadlineMs = deadlineOf(exposure, methods)
  const filters = [
    ...(protocol === 'http' ? [tellTimeout(deadlineMs)] : []),
    ...(cors && mesh === 'istio' ? [{ type: 'CORS', cors }] : []),
  ]
  const questions = [...new Set(methods.map(({ path }) => path))].map((path) => ({ verb: 'OPTIONS', path }))
  return {
    matches: [...methods, ...(cors ? questions : [])].map(httpMatch),
    filters: filters.length > 0 ? filters : undefined,
    timeouts: { request: durationOf(deadlineMs) },
  }
}

/** Tells the service how long its caller waits, whatever a caller outside says; gRPC has a header of its own for it. */
function tellTimeout(deadlineMs: number) {
  const header = { name: 'x-parley-timeout-ms', value: String(deadlineMs) }
  return { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [header] } }
}

function httpMatch({ verb, path }: Pick<MethodRef, 'verb' | 'path'>) {
  return { path: pathMatch(path), method: verb }
}

/** A path is whole: exact, or a pattern in which each `{name}` stands for one segment that is not empty. */
function pathMatch(path: string) {
  if (!path.includes('{')) return { type: 'Exact', value: path }
  const value = path
    .split(/(\{[^}]*\})/)
    .map((part) => (part.startsWith('{') ? '[^/]+' : part.replace(/[.*+?^$()[\]\\|]/g, '\\$&')))
    .join('')
  return { type: 'RegularExpression', value }
}

function grpcRule(methods: readonly MethodRef[]) {
  return {
    matches: methods.map(({ path }) => {
      const [, service = '', method = ''] = path.split('/')
      return { method: { type: 'Exact', service, method } }
    }),
  }
}

function chunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
