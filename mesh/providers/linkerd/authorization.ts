import type { MethodRef } from '#plan/plan.ts'
import type { ServiceSlice } from '#plan/slices.ts'
import { ports, type Site, selectorOf } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { isRateLimited } from './limits.ts'
import { everything, grpcMatch, grpcServiceMatch, httpMatch } from './match.ts'
import { type Account, accountOf, gatewayAccount } from './mtls.ts'
import { metadata, methodKey, methodNames } from './names.ts'

const gatewayApi = { group: 'gateway.networking.k8s.io', version: 'gateway.networking.k8s.io/v1' } as const
const policyGroup = 'policy.linkerd.io'
const policyVersion = 'policy.linkerd.io/v1alpha1'

/** The NetworkAuthentication of everyone, with an identity or without. */
const anyone = 'anyone'

/**
 * Who may call a service: its port refuses everything, then each method has a route that its declared callers, and nobody
 * else, may take. What is left is caught by a route that nobody may take, so that it is refused as forbidden and not as
 * unknown. The node, which has no identity, asks after a pod's health on another port (`openPaths`).
 */
export function serviceAccess(site: Site, slice: ServiceSlice): readonly Manifest[] {
  const { service } = slice
  if (!service.protocol) return []
  const kind = routeKind(slice)
  const names = namesOf(slice)
  return [
    server(site, service.name, service.name, selectorOf(service.name), ports.app, proxyProtocol(slice)),
    ...allowedMethods(site, slice).flatMap(({ method, accounts }) =>
      allowance(
        site,
        service.name,
        `${service.name}.allow.${names.get(methodKey(method)) ?? 'method'}`,
        kind,
        method,
        accounts,
      ),
    ),
    route(site, service.name, `${service.name}.refuse`, service.name, kind, refused(slice, kind)),
  ]
}

/**
 * What is open to everyone in every pod, by path: the metrics and health of the application and of its proxy. That only
 * Prometheus and the node get there is the NetworkPolicies' part. Once a system.
 */
export function openPaths(site: Site): readonly Manifest[] {
  const everyPod = { 'app.kubernetes.io/part-of': site.system }
  const open = (name: string, port: number, paths: readonly string[]): readonly Manifest[] => [
    server(site, site.system, name, everyPod, port, 'HTTP/1'),
    route(
      site,
      site.system,
      name,
      name,
      'HTTPRoute',
      paths.map((path) => httpMatch({ verb: 'GET', path })),
    ),
    authorization(site, site.system, name, 'HTTPRoute', { kind: 'NetworkAuthentication', name: anyone }),
  ]
  return [
    {
      apiVersion: policyVersion,
      kind: 'NetworkAuthentication',
      metadata: metadata(site, site.system, anyone),
      spec: { networks: [{ cidr: '0.0.0.0/0' }, { cidr: '::/0' }] },
    },
    ...open('all.admin', ports.admin, ['/metrics', '/livez', '/readyz']),
    ...open('all.proxy', proxyAdminPort, ['/metrics', '/live', '/ready']),
  ]
}

/** Where Linkerd's proxy answers about itself. */
const proxyAdminPort = 4191

/** Every method that somebody may call, with all who may, in the order of the paths. */
function allowedMethods(
  site: Pick<Site, 'namespace' | 'system' | 'mesh'>,
  { calledBy, exposures }: Pick<ServiceSlice, 'calledBy' | 'exposures'>,
): readonly { readonly method: MethodRef; readonly accounts: readonly Account[] }[] {
  const allowed = new Map<string, { method: MethodRef; accounts: Account[] }>()
  const allow = (method: MethodRef, account: Account) => {
    const found = allowed.get(methodKey(method)) ?? { method, accounts: [] }
    if (!found.accounts.some(({ name, namespace }) => name === account.name && namespace === account.namespace))
      found.accounts.push(account)
    allowed.set(methodKey(method), found)
  }
  for (const { from, routes } of calledBy)
    for (const { methods } of routes) for (const method of methods) allow(method, accountOf(from))
  const gateway = gatewayAccount(site)
  // Nothing here verifies tokens, so what asks for them is open to nobody.
  for (const { methods, authentication } of exposures)
    if (authentication.kind === 'none') for (const method of methods) allow(method, gateway)
  return [...allowed.values()].sort((a, b) => (methodKey(a.method) < methodKey(b.method) ? -1 : 1))
}

/** All methods of a service that an object may be named after: those it declares, and its own description. */
export function namesOf({
  service,
  exposures,
}: Pick<ServiceSlice, 'service' | 'exposures'>): ReadonlyMap<string, string> {
  return methodNames([
    ...service.apis.flatMap(({ methods }) => methods),
    ...exposures.flatMap(({ methods }) => methods),
  ])
}

/**
 * The kind of route by which a service's port is opened. A rate limit does nothing beside GRPCRoutes, though its status
 * says that it was accepted; so a service that has one is opened by path. One port never has both kinds.
 */
function routeKind(slice: ServiceSlice): RouteKind {
  return slice.service.protocol === 'grpc' && !isRateLimited(slice) ? 'GRPCRoute' : 'HTTPRoute'
}

function proxyProtocol(slice: ServiceSlice): 'gRPC' | 'HTTP/2' | 'HTTP/1' {
  if (slice.service.protocol === 'http') return 'HTTP/1'
  return routeKind(slice) === 'GRPCRoute' ? 'gRPC' : 'HTTP/2'
}

type RouteKind = 'GRPCRoute' | 'HTTPRoute'

function allowance(
  site: Site,
  service: string,
  name: string,
  kind: RouteKind,
  method: MethodRef,
  accounts: readonly Account[],
): readonly Manifest[] {
  return [
    route(site, service, name, service, kind, [kind === 'GRPCRoute' ? grpcMatch(method) : httpMatch(method)]),
    {
      apiVersion: policyVersion,
      kind: 'MeshTLSAuthentication',
      metadata: metadata(site, service, name),
      spec: { identityRefs: accounts },
    },
    authorization(site, service, name, kind, { kind: 'MeshTLSAuthentication', name }),
  ]
}

function refused({ service }: ServiceSlice, kind: RouteKind): readonly object[] {
  return kind === 'HTTPRoute' ? [everything] : service.apis.map(({ name }) => grpcServiceMatch(name))
}

function server(
  site: Site,
  service: string,
  name: string,
  matchLabels: Readonly<Record<string, string>>,
  port: number,
  protocol: 'gRPC' | 'HTTP/2' | 'HTTP/1',
): Manifest {
  return {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: metadata(site, service, name),
    spec: { podSelector: { matchLabels }, port, proxyProtocol: protocol, accessPolicy: 'deny' },
  }
}

function route(
  site: Site,
  service: string,
  name: string,
  serverName: string,
  kind: RouteKind,
  matches: readonly object[],
): Manifest {
  return {
    apiVersion: gatewayApi.version,
    kind,
    metadata: metadata(site, service, name),
    spec: { parentRefs: [{ group: policyGroup, kind: 'Server', name: serverName }], rules: [{ matches }] },
  }
}

function authorization(
  site: Site,
  service: string,
  name: string,
  kind: RouteKind,
  authentication: { readonly kind: string; readonly name: string },
): Manifest {
  return {
    apiVersion: policyVersion,
    kind: 'AuthorizationPolicy',
    metadata: metadata(site, service, name),
    spec: {
      targetRef: { group: gatewayApi.group, kind, name },
      requiredAuthenticationRefs: [{ group: policyGroup, ...authentication }],
    },
  }
}
