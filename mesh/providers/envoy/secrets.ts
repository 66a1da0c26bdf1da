import { typed } from './config.ts'

/** The files of an identity that its sidecar reads, in the folder of its certificate. */
export const secretFileNames = { certificate: 'certificate.json', authority: 'authority.json' } as const

/** An identity as PEM texts: its certificate, its key, and the authorities that it trusts, two while one takes over. */
type Identity = { readonly cert: string; readonly key: string; readonly authorities: string }

/**
 * An identity as Envoy reads it, by file name: to be moved into place together with the PEM files, and for the owner's eyes
 * only. The texts themselves are inside, as each file that Envoy is only pointed to would cost one more inotify instance.
 */
export function secretFiles({ cert, key, authorities }: Identity): Readonly<Record<string, string>> {
  return {
    [secretFileNames.certificate]: secret('certificate', {
      tls_certificate: { certificate_chain: { inline_string: cert }, private_key: { inline_string: key } },
    }),
    [secretFileNames.authority]: secret('authority', {
      validation_context: { trusted_ca: { inline_string: authorities } },
    }),
  }
}

function secret(name: string, content: object): string {
  const resources = [typed('extensions.transport_sockets.tls.v3.Secret', { name, ...content })]
  return `${JSON.stringify({ resources }, null, 2)}\n`
}
