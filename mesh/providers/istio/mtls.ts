import { hostOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { istioObject, type Spec } from './objects.ts'

/** Nobody gets in without a certificate of the mesh. */
export function strictMtls(site: Site): Manifest {
  return istioObject(site, 'PeerAuthentication', {
    name: 'default',
    owner: site.system,
    spec: { mtls: { mode: 'STRICT' } },
  })
}

/** A service's identity: `<trust domain>/ns/<namespace>/sa/<service>`. */
export function principalOf({ trustDomain, namespace }: Site, account: string): string {
  return `${trustDomain}/ns/${namespace}/sa/${account}`
}

/** The client's end: always mutual TLS, and the callee shows exactly the identity that the plan gives it. */
export function mutualTls(site: Site, callee: string): Spec {
  return { mode: 'ISTIO_MUTUAL', subjectAltNames: [`spiffe://${principalOf(site, callee)}`] }
}

/** TLS towards a system outside, as any browser would open it: public authorities, its DNS name. */
export function publicTls(host: string): Spec {
  return { mode: 'SIMPLE', sni: host, subjectAltNames: [host], caCertificates: 'system' }
}

/**
 * What the sidecar must leave alone: a data service speaks TLS of its own, as TCP. Istio's mutual TLS around it would
 * break every connection.
 */
export function withoutMtls(site: Site, service: string): Manifest {
  return istioObject(site, 'DestinationRule', {
    name: service,
    owner: service,
    spec: { host: hostOf(site, service), exportTo: ['.'], trafficPolicy: { tls: { mode: 'DISABLE' } } },
  })
}
