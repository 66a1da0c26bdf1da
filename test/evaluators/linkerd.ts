/**
 * What Linkerd's proxies admit, from the meaning of its policy resources as its documentation gives it: Servers, the
 * routes attached to them, AuthorizationPolicies and authentications. It knows nothing of how they were rendered, and
 * throws NotUnderstood for whatever it has no meaning for.
 */
import type { Manifest } from '#providers/manifest.ts'
import { type Loose, NotUnderstood, ofKind, once, only, type Pod, selects } from './objects.ts'

/** What routes match of a request. */
export type LinkerdCall = { readonly verb: string; readonly path: string }

/** A request as it reaches a pod. `client` is the mesh identity; null for a client without a mesh. */
export type LinkerdRequest = LinkerdCall & {
  readonly client: { readonly namespace: string; readonly serviceAccount: string } | null
  readonly port: number
}

const policyGroup = 'policy.linkerd.io'
const gatewayGroup = 'gateway.networking.k8s.io'

/** What a proxy makes of a request: it goes on to the application, or is answered with PERMISSION_DENIED or NOT_FOUND. */
export type LinkerdAnswer = 'admitted' | 'forbidden' | 'notFound'

/** What the pod's proxy does with a request to the application. */
export function linkerdAnswers(objects: readonly Manifest[], pod: Pod, request: LinkerdRequest): LinkerdAnswer {
  const { verb, path, port, client } = request
  return once(objects, pod, `${port} ${verb} ${path}`, () => answersTo(objects, pod, { verb, path }, port))(client)
}

type Client = LinkerdRequest['client']

/** What is answered to whom: of a request everything but who asks is known. */
function answersTo(
  objects: readonly Manifest[],
  pod: Pod,
  call: LinkerdCall,
  port: number,
): (client: Client) => LinkerdAnswer {
  const answer = (admits: (client: Client) => boolean) => (client: Client) =>
    admits(client) ? 'admitted' : 'forbidden'
  if (!isMeshed(objects, pod)) return () => 'admitted'
  if (ofKind(objects, policyGroup, 'ServerAuthorization').length > 0) throw new NotUnderstood('ServerAuthorizations')
  if (skipped(pod, port)) return () => 'admitted'
  const servers = ofKind(objects, policyGroup, 'Server').filter((server) => isFor(server, pod, port))
  if (servers.length > 1) throw new NotUnderstood(`Several Servers for port ${port} of one pod`)
  const [server] = servers
  if (!server) return answer((client) => byDefault(defaultPolicy(objects, pod), client))
  only(server.spec, 'A Server', 'podSelector', 'port', 'proxyProtocol', 'accessPolicy')
  const routes = routesOf(objects, server)
  if (policiesFor(objects, pod.namespace, 'Server', server.metadata.name).length > 0) {
    throw new NotUnderstood('An AuthorizationPolicy for a whole Server')
  }
  if (policiesFor(objects, pod.namespace, 'Namespace', pod.namespace).length > 0) {
    throw new NotUnderstood('An AuthorizationPolicy for a whole namespace')
  }
  const unsaid = answer((client) => byDefault(server.spec.accessPolicy ?? 'deny', client))
  if (routes.length === 0) return unsaid
  const route = bestRoute(routes, call)
  // What no route describes is not found, whoever asks.
  if (!route) return () => 'notFound'
  const policies = policiesFor(objects, pod.namespace, route.kind, route.metadata.name)
  if (policies.length === 0) return unsaid
  return answer((client) => policies.some((policy) => policyAdmits(objects, policy, client)))
}

/** Whether Linkerd's webhook gives the pod a proxy: the pod's annotation decides, then its namespace's. */
function isMeshed(objects: readonly Manifest[], { namespace, annotations }: Pod): boolean {
  const place = namespaceAnnotations(objects, namespace)
  const choice = annotations['linkerd.io/inject'] ?? place['linkerd.io/inject']
  return choice === 'enabled' || choice === 'ingress'
}

function namespaceAnnotations(objects: readonly Manifest[], name: string): Readonly<Record<string, string>> {
  return ofKind(objects, 'v1', 'Namespace').find(({ metadata }) => metadata.name === name)?.metadata.annotations ?? {}
}

function skipped({ annotations }: Pod, port: number): boolean {
  const ports = annotations['config.linkerd.io/skip-inbound-ports'] ?? ''
  if (ports.includes('-')) throw new NotUnderstood(`skip-inbound-ports ${ports}`)
  return ports.split(',').includes(String(port))
}

function defaultPolicy(objects: readonly Manifest[], { namespace, annotations }: Pod): string {
  const name = 'config.linkerd.io/default-inbound-policy'
  return annotations[name] ?? namespaceAnnotations(objects, namespace)[name] ?? 'all-unauthenticated'
}

function byDefault(policy: string, client: Client): boolean {
  switch (policy) {
    case 'deny':
      return false
    case 'all-authenticated':
    case 'cluster-authenticated':
      return client !== null
    case 'all-unauthenticated':
    case 'cluster-unauthenticated':
    case 'audit':
      return true
    default:
      throw new NotUnderstood(`The policy ${policy}`)
  }
}

function isFor({ metadata, spec }: Loose, pod: Pod, port: number): boolean {
  if (metadata.namespace !== pod.namespace || !selects(spec.podSelector, pod.labels)) return false
  if (typeof spec.port !== 'number') throw new NotUnderstood(`A Server with the named port ${spec.port}`)
  return spec.port === port
}

/** A Server for gRPC takes GRPCRoutes and breaks on HTTPRoutes; the others take HTTPRoutes and ignore GRPCRoutes. */
function routesOf(objects: readonly Manifest[], server: Loose): readonly Loose[] {
  const attached = (group: string, kind: string): readonly Loose[] =>
    ofKind(objects, group, kind).filter(({ metadata, spec }) =>
      spec.parentRefs.some(
        (parent: Loose) =>
          parent.group === policyGroup &&
          parent.kind === 'Server' &&
          parent.name === server.metadata.name &&
          (parent.namespace ?? metadata.namespace) === server.metadata.namespace,
      ),
    )
  const http = [...attached(gatewayGroup, 'HTTPRoute'), ...attached(policyGroup, 'HTTPRoute')]
  const grpc = attached(gatewayGroup, 'GRPCRoute')
  if (http.length > 0 && grpc.length > 0) throw new NotUnderstood(`Both kinds of routes on ${server.metadata.name}`)
  switch (server.spec.proxyProtocol ?? 'unknown') {
    case 'gRPC':
      if (http.length > 0) throw new NotUnderstood(`HTTPRoutes on the gRPC Server ${server.metadata.name}`)
      return grpc
    case 'HTTP/1':
    case 'HTTP/2':
    case 'unknown':
      return http
    default:
      throw new NotUnderstood(`The protocol ${server.spec.proxyProtocol}`)
  }
}

/** The route with the longest match; a match that also names the verb is better than one of the same length without. */
export function bestRoute(routes: readonly Loose[], request: LinkerdCall): Loose | null {
  let best: { readonly route: Loose; readonly rank: number } | null = null
  for (const route of routes) {
    only(route.spec, `A ${route.kind}`, 'parentRefs', 'rules')
    for (const rule of route.spec.rules) {
      only(rule, 'A rule', 'matches')
      // A rule without matches takes everything.
      for (const match of rule.matches ?? [{}]) {
        const rank = route.kind === 'GRPCRoute' ? grpcRank(match, request) : httpRank(match, request)
        if (rank !== null && (best === null || rank > best.rank)) best = { route, rank }
      }
    }
  }
  return best?.route ?? null
}

function httpRank(match: Loose, { verb, path }: LinkerdCall): number | null {
  only(match, 'A match', 'path', 'method')
  if (match.method !== undefined && match.method !== verb) return null
  const length = pathLength(match.path ?? { type: 'PathPrefix', value: '/' }, path.split('?')[0] ?? '')
  return length === null ? null : length * 2 + (match.method === undefined ? 0 : 1)
}

function pathLength({ type = 'PathPrefix', value }: Loose, path: string): number | null {
  switch (type) {
    case 'Exact':
      return path === value ? path.length : null
    case 'RegularExpression':
      return new RegExp(`^(?:${value})$`).test(path) ? path.length : null
    case 'PathPrefix': {
      // By whole segments: `/a` takes `/a` and `/a/b`, and not `/ab`.
      const prefix = value.replace(/\/$/, '')
      return path === prefix || path.startsWith(`${prefix}/`) ? Math.max(prefix.length, 1) : null
    }
    default:
      throw new NotUnderstood(`A path match ${type}`)
  }
}

function grpcRank(match: Loose, { path }: LinkerdCall): number | null {
  only(match, 'A match', 'method')
  const { service, method, type = 'Exact' } = match.method ?? {}
  if (type !== 'Exact') throw new NotUnderstood(`A gRPC match ${type}`)
  const [, calledService = '', calledMethod = '', ...more] = path.split('/')
  if (more.length > 0) return null
  if (service !== undefined && service !== calledService) return null
  if (method !== undefined && method !== calledMethod) return null
  return (service?.length ?? 0) + (method?.length ?? 0)
}

function policiesFor(objects: readonly Manifest[], namespace: string, kind: string, name: string): readonly Loose[] {
  return ofKind(objects, policyGroup, 'AuthorizationPolicy').filter(
    ({ metadata, spec }) =>
      metadata.namespace === namespace && spec.targetRef.kind === kind && spec.targetRef.name === name,
  )
}

/** All of the required authentications must hold. */
function policyAdmits(objects: readonly Manifest[], { metadata, spec }: Loose, client: Client): boolean {
  only(spec, 'An AuthorizationPolicy', 'targetRef', 'requiredAuthenticationRefs')
  return spec.requiredAuthenticationRefs.every(({ kind, name, namespace = metadata.namespace }: Loose) => {
    if (kind === 'ServiceAccount') return isAccount(client, { name, namespace })
    const found = ofKind(objects, policyGroup, kind).find(
      (object) => object.metadata.name === name && object.metadata.namespace === namespace,
    )
    if (!found) return false
    if (kind === 'MeshTLSAuthentication') return isIdentified(found, client)
    if (kind === 'NetworkAuthentication') return isFromAnywhere(found)
    throw new NotUnderstood(`The authentication ${kind}`)
  })
}

function isIdentified({ metadata, spec }: Loose, client: Client): boolean {
  only(spec, 'A MeshTLSAuthentication', 'identities', 'identityRefs')
  const byName = (spec.identities ?? []).some((identity: string) => {
    if (identity === '*') return client !== null
    if (identity.includes('*')) throw new NotUnderstood(`The identity ${identity}`)
    return (
      client !== null && identity.startsWith(`${client.serviceAccount}.${client.namespace}.serviceaccount.identity.`)
    )
  })
  return byName || (spec.identityRefs ?? []).some((ref: Loose) => refersTo(ref, metadata.namespace, client))
}

function refersTo(ref: Loose, own: string, client: Client): boolean {
  if (ref.kind === 'Namespace') return client?.namespace === ref.name
  if (ref.kind !== 'ServiceAccount') throw new NotUnderstood(`An identity of kind ${ref.kind}`)
  return isAccount(client, { name: ref.name, namespace: ref.namespace ?? own })
}

function isAccount(client: Client, account: { readonly name: string; readonly namespace: string }): boolean {
  return client !== null && client.serviceAccount === account.name && client.namespace === account.namespace
}

/** Only the one that takes every address is understood: where a client stands is not known here. */
function isFromAnywhere({ spec }: Loose): boolean {
  if (spec.networks.some(({ cidr, except }: Loose) => cidr === '0.0.0.0/0' && except === undefined)) return true
  throw new NotUnderstood('A NetworkAuthentication of some addresses')
}
