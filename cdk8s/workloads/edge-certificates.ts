import { hostOf, labelsOf, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'

/** The Secret with the certificate that the edge shows. cert-manager makes and renews it. */
export function edgeSecret({ system }: Pick<Site, 'system'>): string {
  return `${system}-edge-tls`
}

/**
 * The certificate of the edge for the hosts of its exposures (`*` is any), signed by whom the cluster's owners name, or else
 * by an authority of the system's own, which browsers do not trust. Nobody signs for a system that answers under any host, so
 * it signs for itself, and for `localhost`, under which it is reached then.
 */
export function edgeCertificates(site: Site, exposed: readonly string[]): readonly Manifest[] {
  const { clusterIssuer } = site.settings
  const hosts = exposed.filter((host) => host !== '*')
  if (clusterIssuer !== null && hosts.length > 0) {
    return [certificate(site, hosts, { group: 'cert-manager.io', kind: 'ClusterIssuer', name: clusterIssuer })]
  }
  const names = [...hosts, ...(exposed.includes('*') ? ['localhost'] : []), hostOf(site, site.system)]
  return [
    issuer(site, 'edge.self-signed', { selfSigned: {} }),
    authority(site),
    issuer(site, 'edge.authority', { ca: { secretName: authoritySecret(site) } }),
    certificate(site, names, issuerRef('edge.authority')),
  ]
}

function authoritySecret({ system }: Site): string {
  return `${system}-edge-authority`
}

function certificate(site: Site, dnsNames: readonly string[], ref: object): Manifest {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: metadata(site, `${site.system}-edge`),
    spec: {
      secretName: edgeSecret(site),
      dnsNames,
      duration: '2160h',
      renewBefore: '720h',
      privateKey,
      usages: ['digital signature', 'server auth'],
      issuerRef: ref,
      revisionHistoryLimit: 3,
    },
  }
}

/** A new key with each certificate. */
const privateKey = { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' } as const

function authority(site: Site): Manifest {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: metadata(site, `${site.system}-edge-authority`),
    spec: {
      isCA: true,
      commonName: `${site.system} edge`,
      secretName: authoritySecret(site),
      duration: '43800h',
      renewBefore: '8760h',
      privateKey,
      issuerRef: issuerRef('edge.self-signed'),
      revisionHistoryLimit: 3,
    },
  }
}

function issuer(site: Site, name: string, spec: object): Manifest {
  return { apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: metadata(site, name), spec }
}

function issuerRef(name: string) {
  return { group: 'cert-manager.io', kind: 'Issuer', name }
}

function metadata(site: Site, name: string) {
  return { name, namespace: site.namespace, labels: labelsOf(site, `${site.system}-edge`, 'edge') }
}
