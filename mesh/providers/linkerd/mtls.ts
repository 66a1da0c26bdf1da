import type { ServiceSlice } from '#plan/slices.ts'
import { edgeOf, ports, reachOf, type Site, webhookPort } from '#providers/cluster.ts'
import { memoryAnnotations } from './breaker.ts'

/** Who calls, as Linkerd refers to it: a ServiceAccount, whose identity is in the certificate of its pods' proxies. */
export type Account = { readonly kind: 'ServiceAccount'; readonly name: string; readonly namespace?: string }

/**
 * Every pod of the namespace has a proxy, which lets nothing in that no policy allows; so there is no call without mutual
 * TLS but to the few paths that are open to everyone (`authorization.ts`). The proxy is a native sidecar, and has requests
 * of its own, without which no autoscaler can tell a pod's use of its processor.
 */
export const namespaceAnnotations: Readonly<Record<string, string>> = {
  'linkerd.io/inject': 'enabled',
  'config.linkerd.io/default-inbound-policy': 'deny',
  'config.linkerd.io/proxy-enable-native-sidecar': 'true',
  'config.linkerd.io/proxy-cpu-request': '20m',
  'config.linkerd.io/proxy-memory-request': '32Mi',
  'config.linkerd.io/proxy-memory-limit': '256Mi',
}

/** What a service's pods need of their proxy: a memory for open breakers, and ports that it leaves alone. */
export function podAnnotations(site: Site, slice: ServiceSlice): Readonly<Record<string, string>> {
  const skipped = bypassedPorts(site, slice)
  const breakers = [...slice.calls, ...slice.egress.map(({ egress }) => egress)].map(({ breaker }) => breaker)
  return {
    ...memoryAnnotations(breakers),
    ...(skipped.length > 0 ? { 'config.linkerd.io/skip-outbound-ports': skipped.join(',') } : {}),
  }
}

/**
 * The ports on which a service's own connections pass its proxy by: those of the systems outside that it talks to in TCP or
 * in TLS that it opens itself, subscribers of its webhooks among them. The proxy would wait 10 s for a server that speaks first, and the namespace's refusal of
 * everything outside (`egress.ts`) knows hosts in plain HTTP only. Never the port of the services, which is mutual TLS.
 */
export function bypassedPorts(
  site: Pick<Site, 'system' | 'environment' | 'mesh'>,
  slice: ServiceSlice,
): readonly number[] {
  const passed = slice.egress.flatMap(({ external }) => {
    const { port, tls } = reachOf(site, external)
    return (tls || external.protocol === 'tcp') && port !== ports.app ? [port] : []
  })
  const subscribers = slice.webhooks.length > 0 ? [webhookPort] : []
  return [...new Set([...passed, ...subscribers])].sort((a, b) => a - b)
}

/** A service of the system. */
export function accountOf(service: string): Account {
  return { kind: 'ServiceAccount', name: service }
}

/** The proxy behind the system's Gateway, which is meshed too, in a namespace of its own. */
export function gatewayAccount(site: Pick<Site, 'namespace' | 'system' | 'mesh'>): Account {
  const { account, namespace } = edgeOf(site)
  return { kind: 'ServiceAccount', name: account, namespace }
}
