import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Plan } from '#plan/plan.ts'
import { secretFileNames, secretFiles } from '#providers/envoy/secrets.ts'
import { certFiles, type Layout } from '../layout.ts'
import { type Authority, issue, newAuthority, type Subject } from './authority.ts'
import { readFolder, swapFolder } from './folder.ts'

const dayMs = 24 * 60 * 60_000
const leafLifetimeMs = dayMs
const authorityLifetimeMs = 365 * dayMs
/** An authority with less than this left is replaced. */
const authorityLeftMsMin = 30 * dayMs

/** How certificates are made. */
export type CertificateOptions = {
  /** How long an identity's certificate holds. Default: 24 h. One with less than half of it left is made anew. */
  readonly lifetimeMs?: number
}

/** How certificates are renewed under those who use them. */
export type RenewalOptions = CertificateOptions & {
  /**
   * Called after each step and waited for, so that everything has read the new files before the next step counts on it.
   * Default: a pause of 1 s, which is ample for Envoy. Parts that read files only when told are told here.
   */
  readonly settle?: () => Promise<void>
}

/** How certificates are rotated. */
export type RotationOptions = RenewalOptions & {
  /** Replaces the authority too. Default: false. */
  readonly authority?: boolean
}

/**
 * Makes the run's authority and a certificate for every identity that lacks one, has one that is past half its life, or
 * has one of another authority. Writes below `layout.certsDir` only: keys 0600, folders 0700. Call it before the system
 * starts: it replaces an authority that ends within 30 days in one step, which those that run would not survive.
 */
export async function ensureCertificates(plan: Plan, layout: Layout, options: CertificateOptions = {}): Promise<void> {
  const found = await readAuthority(layout)
  const authority = found && isLasting(found) ? found : await makeAuthority(plan, layout)
  await ensureLeaves(plan, layout, authority, options.lifetimeMs)
}

/**
 * Does what `ensureCertificates` does while the system runs: call it every hour or so. An authority that ends within 30
 * days is replaced as `rotateCertificates` does it.
 */
export async function renewCertificates(plan: Plan, layout: Layout, options: RenewalOptions = {}): Promise<void> {
  const authority = await readAuthority(layout)
  if (!authority || !isLasting(authority)) return rotateCertificates(plan, layout, { ...options, authority: true })
  await ensureLeaves(plan, layout, authority, options.lifetimeMs)
  await (options.settle ?? pause)()
}

async function ensureLeaves(
  plan: Plan,
  layout: Layout,
  authority: Authority,
  lifetimeMs = leafLifetimeMs,
): Promise<void> {
  await Promise.all(
    subjects(plan, layout).map(async (subject) => {
      if (await isCurrent(layout, subject, authority, lifetimeMs / 2)) return
      await write(layout, subject, { ...(await issue(authority, subject, lifetimeMs)), authorities: authority.cert })
    }),
  )
}

/**
 * Issues every certificate anew while the system runs. With `authority` the authority itself is replaced: both are
 * trusted first, then everyone gets a certificate of the new one, then the old one is dropped, and refused from then on.
 */
export async function rotateCertificates(plan: Plan, layout: Layout, options: RotationOptions = {}): Promise<void> {
  const settle = options.settle ?? pause
  const lifetimeMs = options.lifetimeMs ?? leafLifetimeMs
  const old = (await readAuthority(layout)) ?? (await makeAuthority(plan, layout))
  const next = options.authority ? await newAuthority(plan.system, authorityLifetimeMs) : old
  const both = next === old ? old.cert : next.cert + old.cert
  const everyone = subjects(plan, layout)
  if (next !== old) {
    await Promise.all(everyone.map((subject) => trust(layout, subject, both)))
    await settle()
    await writeAuthority(layout, next)
  }
  await Promise.all(
    everyone.map(async (subject) =>
      write(layout, subject, { ...(await issue(next, subject, lifetimeMs)), authorities: both }),
    ),
  )
  await settle()
  if (next === old) return
  await Promise.all(everyone.map((subject) => trust(layout, subject, next.cert)))
  await settle()
}

/** Everyone who gets a certificate: the services by their identities, and the parts that are found by address. */
function subjects(plan: Plan, layout: Layout): readonly Subject[] {
  const part = (name: string, address: string): Subject => ({
    name,
    spiffe: null,
    dnsNames: [name, 'localhost'],
    addresses: [address],
  })
  return [
    ...plan.services.map(({ identity }) => ({
      name: identity.name,
      spiffe: identity.spiffe,
      dnsNames: [],
      addresses: [],
    })),
    part('kafka', layout.kafka.address),
    part('rabbitmq', layout.rabbitmq.address),
  ]
}

type Contents = { readonly cert: string; readonly key: string; readonly authorities: string }

/** Who has a mesh identity has a sidecar, whose files change in the same step. */
function write(layout: Layout, { name, spiffe }: Subject, { cert, key, authorities }: Contents): Promise<void> {
  const pem = { 'cert.pem': cert, 'key.pem': key, 'ca.pem': authorities }
  return swapFolder(join(layout.certsDir, name), spiffe ? { ...pem, ...secretFiles({ cert, key, authorities }) } : pem)
}

async function trust(layout: Layout, subject: Subject, authorities: string): Promise<void> {
  const files = await readFolder(certFiles(layout.certsDir, subject.name))
  if (files) await write(layout, subject, { cert: files.cert, key: files.key, authorities })
}

async function isCurrent(
  layout: Layout,
  { name, spiffe, addresses }: Subject,
  authority: Authority,
  leftMsMin: number,
): Promise<boolean> {
  const files = await readFolder(certFiles(layout.certsDir, name))
  if (!files || files.authority !== authority.cert) return false
  // An earlier version left PEM files alone.
  if (spiffe && !existsSync(join(layout.certsDir, name, secretFileNames.certificate))) return false
  const cert = new X509Certificate(files.cert)
  const named = [...(spiffe ? [`URI:${spiffe}`] : []), ...addresses.map((address) => `IP Address:${address}`)]
  return (
    leftMs(cert) > leftMsMin &&
    cert.verify(new X509Certificate(authority.cert).publicKey) &&
    named.every((one) => cert.subjectAltName?.split(', ').includes(one))
  )
}

function leftMs(cert: X509Certificate): number {
  return cert.validToDate.getTime() - Date.now()
}

function isLasting(authority: Authority): boolean {
  return leftMs(new X509Certificate(authority.cert)) > authorityLeftMsMin
}

async function readAuthority(layout: Layout): Promise<Authority | undefined> {
  const files = await readFolder(certFiles(layout.certsDir, 'authority'))
  return files && { cert: files.cert, key: files.key }
}

async function makeAuthority(plan: Plan, layout: Layout): Promise<Authority> {
  const authority = await newAuthority(plan.system, authorityLifetimeMs)
  await writeAuthority(layout, authority)
  return authority
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_000))
}

function writeAuthority(layout: Layout, { cert, key }: Authority): Promise<void> {
  return swapFolder(join(layout.certsDir, 'authority'), { 'cert.pem': cert, 'key.pem': key, 'ca.pem': cert })
}
