import { dataNames, type Site } from '#providers/cluster.ts'
import type { Manifest } from '#providers/manifest.ts'
import { objectOf } from './objects.ts'

const apiVersion = 'cert-manager.io/v1'
const component = 'queue-server'

/** An authority of the queue server's own, which signs one certificate: services verify the server by it. */
export function rabbitmqCertificates(site: Site): readonly Manifest[] {
  const { cluster, authoritySecret, service } = dataNames(site).rabbitmq
  const root = `${cluster}-root`
  const authority = `${cluster}-authority`
  const own = { kind: 'Issuer', group: 'cert-manager.io' }
  const object = (kind: string, name: string, spec: object) =>
    objectOf(site, { apiVersion, kind, name, component, fields: { spec } })
  const key = { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' }
  return [
    object('Issuer', root, { selfSigned: {} }),
    object('Certificate', authority, {
      isCA: true,
      commonName: authority,
      secretName: authority,
      // The key of the authority stays as long as it does: clients and server would else trust different ones for a while.
      privateKey: { ...key, rotationPolicy: 'Never' },
      duration: '87600h',
      renewBefore: '8760h',
      usages: ['cert sign', 'crl sign'],
      issuerRef: { ...own, name: root },
    }),
    object('Issuer', authority, { ca: { secretName: authority } }),
    object('Certificate', authoritySecret, {
      secretName: authoritySecret,
      privateKey: key,
      duration: '2160h',
      renewBefore: '720h',
      usages: ['server auth'],
      dnsNames: ['', `.${site.namespace}`, `.${site.namespace}.svc`, `.${site.namespace}.svc.cluster.local`].map(
        (suffix) => `${service}${suffix}`,
      ),
      issuerRef: { ...own, name: authority },
    }),
  ]
}
