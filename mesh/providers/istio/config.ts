import type { Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { istioObject, type Spec } from './objects.ts'

const typePrefix = 'type.googleapis.com/envoy'

/** An Envoy message with the type that it needs, such as `extensions.filters.http.rbac.v3.RBAC`. */
export function typed(type: string, config: Spec = {}): Spec {
  return { '@type': `${typePrefix}.${type}`, ...config }
}

/** One change of what istiod sends to proxies. */
export type Patch = { readonly applyTo: string; readonly match: Spec; readonly patch: Spec }

const manager = 'envoy.filters.network.http_connection_manager'

/** Where a patch applies: what comes in at a service's sidecar on one port, or at the Gateway. */
export type Where = { readonly context: 'SIDECAR_INBOUND'; readonly port: number } | { readonly context: 'GATEWAY' }

/** Puts an HTTP filter in front of the router: behind authorization, which is first. */
export function addFilter(where: Where, value: Spec): Patch {
  const match = { ...listenerMatch(where, { subFilter: { name: 'envoy.filters.http.router' } }) }
  return { applyTo: 'HTTP_FILTER', match, patch: { operation: 'INSERT_BEFORE', value } }
}

/** Changes the connection manager itself. */
export function mergeManager(where: Where, config: Spec): Patch {
  const type = 'extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const value = { typed_config: typed(type, config) }
  return { applyTo: 'NETWORK_FILTER', match: listenerMatch(where, {}), patch: { operation: 'MERGE', value } }
}

/** Changes every route that leads somewhere. */
export function mergeRoutes(context: 'GATEWAY' | 'SIDECAR_OUTBOUND', route: Spec): Patch {
  const match = { context, routeConfiguration: { vhost: { route: { action: 'ROUTE' } } } }
  return { applyTo: 'HTTP_ROUTE', match, patch: { operation: 'MERGE', value: { route } } }
}

/** Changes the routes that a VirtualService gave this name. */
export function mergeNamedRoute(name: string, route: Spec): Patch {
  const match = { context: 'SIDECAR_OUTBOUND', routeConfiguration: { vhost: { route: { name } } } }
  return { applyTo: 'HTTP_ROUTE', match, patch: { operation: 'MERGE', value: { route } } }
}

/** Whose proxies a filter is for. */
export type Target = { readonly service: string } | { readonly gateway: string } | 'all'

/**
 * An EnvoyFilter. `priority` orders those of one proxy, the lower first: of two that put a filter in front of the router,
 * the later one's stands nearer to it.
 */
export function envoyFilter(
  site: Site,
  target: Target,
  filter: {
    readonly name: string
    readonly owner: string
    readonly priority: number
    readonly patches: readonly Patch[]
  },
): Manifest {
  const { name, owner, priority, patches } = filter
  return istioObject(site, 'EnvoyFilter', {
    name,
    owner,
    spec: { ...targetOf(target), priority, configPatches: patches },
  })
}

function targetOf(target: Target): Spec {
  if (target === 'all') return {}
  if ('service' in target) return { workloadSelector: { labels: { app: target.service } } }
  return { targetRefs: [gatewayRef(target.gateway)] }
}

/** How a policy names the Gateway that it is for. */
export function gatewayRef(name: string): Spec {
  return { group: 'gateway.networking.k8s.io', kind: 'Gateway', name }
}

function listenerMatch(where: Where, more: Spec): Spec {
  const filterChain = { filter: { name: manager, ...more } }
  const { context } = where
  if (where.context === 'GATEWAY') return { context, listener: { filterChain } }
  return { context, listener: { portNumber: where.port, filterChain } }
}
