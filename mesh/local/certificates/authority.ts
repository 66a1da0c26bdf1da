import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto'
import type { JsonGeneralNames, X509Certificate } from '@peculiar/x509'

/** A certificate authority, as it is kept: its certificate and its private key, both PEM. */
export type Authority = { readonly cert: string; readonly key: string }

/** What a certificate says. `spiffe` is the mesh identity; names and addresses are for parts that are found by them. */
export type Subject = {
  /** The common name: Kafka takes the principal from it. */
  readonly name: string
  readonly spiffe: string | null
  readonly dnsNames: readonly string[]
  readonly addresses: readonly string[]
}

/** A certificate and its private key, both PEM. */
export type Issued = { readonly cert: string; readonly key: string }

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** Certificates begin this much before they are made, for clocks that are late. */
const clockSkewMs = 5 * 60_000

/** Makes a new authority. Its name is its own, so that two of one system are never taken for each other. */
export async function newAuthority(system: string, lifetimeMs: number, nowMs = Date.now()): Promise<Authority> {
  const x509 = await library()
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const serialNumber = newSerial()
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: `CN=${system} authority ${serialNumber.slice(0, 8)}`,
    ...validity(nowMs, lifetimeMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pem(cert), key: privatePem(keys.privateKey) }
}

/** Issues a certificate for a new key, good for both ends of a connection and no authority itself. */
export async function issue(
  authority: Authority,
  subject: Subject,
  lifetimeMs: number,
  nowMs = Date.now(),
): Promise<Issued> {
  const x509 = await library()
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const issuer = new x509.X509Certificate(authority.cert)
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: `CN=${subject.name}`,
    issuer: issuer.subject,
    ...validity(nowMs, lifetimeMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(subject)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: pem(cert), key: privatePem(keys.privateKey) }
}

function alternativeNames({ spiffe, dnsNames, addresses }: Subject): JsonGeneralNames {
  return [
    ...(spiffe ? [{ type: 'url' as const, value: spiffe }] : []),
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...addresses.map((value) => ({ type: 'ip' as const, value })),
  ]
}

function validity(nowMs: number, lifetimeMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - clockSkewMs), notAfter: new Date(nowMs + lifetimeMs) }
}

/** 127 random bits: a serial number is a positive integer. */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0] ?? 0) & 0x7f || 1
  return bytes.toString('hex')
}

function pem(cert: X509Certificate): string {
  return `${cert.toString('pem')}\n`
}

function privatePem(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString()
}

function signingKey(key: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
}

/** Loaded when a certificate is made and not before: most starts find theirs. It looks for metadata while it loads. */
async function library(): Promise<typeof import('@peculiar/x509')> {
  await import('./reflect.ts')
  return import('@peculiar/x509')
}
