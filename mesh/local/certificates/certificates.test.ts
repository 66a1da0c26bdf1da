import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { service } from '#graph/service.ts'
import { system } from '#graph/system.ts'
import { derive } from '#plan/derive.ts'
import { certFiles, type Layout, layoutOf } from '../layout.ts'
import { newAuthority } from './authority.ts'
import { ensureCertificates, renewCertificates, rotateCertificates } from './certificates.ts'
import { swapFolder } from './folder.ts'

const plan = derive(system('two', { services: [service('a', {}), service('b', {})] }), 'local')
const everyone = ['a', 'b', 'kafka', 'rabbitmq']
const hourMs = 60 * 60_000
let layout: Layout

beforeEach(async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'certificates-'))
  layout = layoutOf(plan, { stateDir, subnet: '127.77.0', host: '127.0.0.1' })
})

afterEach(() => rm(dirname(dirname(layout.runDir)), { recursive: true, force: true }))

describe('certificates', () => {
  test('each says who it is, to whom, for how long, and nothing more', async () => {
    await ensureCertificates(plan, layout, { lifetimeMs: 2 * hourMs })
    const { cert, authority } = await read('a')
    expect(cert.subject).toBe('CN=a')
    expect(cert.subjectAltName).toBe('URI:spiffe://cluster.local/ns/two/sa/a')
    expect(cert.ca).toBe(false)
    expect(cert.verify(authority.publicKey)).toBe(true)
    expect(cert.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
    expect(cert.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(2 * hourMs)
    const { cert: kafka } = await read('kafka')
    expect(kafka.subjectAltName).toBe('DNS:kafka, DNS:localhost, IP Address:127.77.0.2')
  })

  test('keys are readable by their owner alone', async () => {
    await ensureCertificates(plan, layout)
    for (const name of [...everyone, 'authority']) {
      const { key } = certFiles(layout.certsDir, name)
      expect([name, (await stat(key)).mode & 0o777]).toEqual([name, 0o600])
      expect([name, (await stat(dirname(key))).mode & 0o777]).toEqual([name, 0o700])
    }
  })

  test('what is good is kept; what is past half its life or of another authority is made anew', async () => {
    await ensureCertificates(plan, layout)
    const first = await read('a')
    await ensureCertificates(plan, layout)
    expect((await read('a')).cert.serialNumber).toBe(first.cert.serialNumber)
    await ensureCertificates(plan, layout, { lifetimeMs: 72 * hourMs })
    expect((await read('a')).cert.serialNumber).not.toBe(first.cert.serialNumber)
    await rm(join(layout.certsDir, 'authority'), { recursive: true })
    await ensureCertificates(plan, layout)
    const last = await read('a')
    expect(last.authority.serialNumber).not.toBe(first.authority.serialNumber)
    expect(last.cert.verify(last.authority.publicKey)).toBe(true)
  })

  test('a rotation of the authority never leaves one without somebody to trust it', async () => {
    await ensureCertificates(plan, layout)
    await expectDoubleTrust((settle) => rotateCertificates(plan, layout, { authority: true, settle }))
  })

  test('nor does a renewal, when the authority ends soon', async () => {
    const { cert, key } = await newAuthority('two', 29 * 24 * hourMs)
    await swapFolder(join(layout.certsDir, 'authority'), { 'cert.pem': cert, 'key.pem': key, 'ca.pem': cert })
    await rotateCertificates(plan, layout, { settle: async () => undefined })
    await expectDoubleTrust((settle) => renewCertificates(plan, layout, { settle }))
    const { cert: renewed } = await read('a')
    await renewCertificates(plan, layout, { settle: async () => undefined })
    expect((await read('a')).cert.serialNumber).toBe(renewed.serialNumber)
  })

  test('a sidecar reads the same certificate, key and authorities as its service, and parts have none', async () => {
    await ensureCertificates(plan, layout)
    await rm(join(layout.certsDir, 'a', 'certificate.json'))
    await ensureCertificates(plan, layout)
    await rotateCertificates(plan, layout, { settle: async () => undefined })
    const folder = join(layout.certsDir, 'a')
    const [cert, key, authority] = await Promise.all(
      ['cert.pem', 'key.pem', 'ca.pem'].map((name) => readFile(join(folder, name), 'utf8')),
    )
    const [certificate, trusted] = await Promise.all(
      ['certificate.json', 'authority.json'].map(async (name) => {
        expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
        return JSON.parse(await readFile(join(folder, name), 'utf8')).resources[0]
      }),
    )
    expect(certificate.tls_certificate).toEqual({
      certificate_chain: { inline_string: cert },
      private_key: { inline_string: key },
    })
    expect(trusted.validation_context).toEqual({ trusted_ca: { inline_string: authority } })
    expect(await readdir(join(layout.certsDir, 'kafka'))).not.toContain('certificate.json')
  })

  test('a folder keeps the set in use and the one before', async () => {
    await ensureCertificates(plan, layout)
    for (let time = 0; time < 3; time++) await rotateCertificates(plan, layout, { settle: async () => undefined })
    const sets = (await readdir(join(layout.certsDir, 'a'))).filter((name) => /^\.\.\w+-/.test(name))
    expect(sets).toHaveLength(2)
  })
})

async function read(name: string) {
  const files = certFiles(layout.certsDir, name)
  const [cert, bundle] = await Promise.all([readFile(files.cert), readFile(files.authority, 'utf8')])
  const authorities = bundle.split('BEGIN CERTIFICATE').length - 1
  return { cert: new X509Certificate(cert), authority: new X509Certificate(bundle), authorities }
}

/** Replaces the authority, and looks after each step at who is trusted. */
async function expectDoubleTrust(replace: (settle: () => Promise<void>) => Promise<void>): Promise<void> {
  const old = await read('a')
  const steps: { issuers: Set<string>; trusted: Set<number> }[] = []
  await replace(async () => {
    const all = await Promise.all(everyone.map(read))
    steps.push({
      issuers: new Set(all.map(({ cert }) => cert.issuer)),
      trusted: new Set(all.map(({ authorities }) => authorities)),
    })
  })
  const { authority } = await read('a')
  expect(authority.subject).not.toBe(old.authority.subject)
  expect(steps).toEqual([
    { issuers: new Set([old.authority.subject]), trusted: new Set([2]) },
    { issuers: new Set([authority.subject]), trusted: new Set([2]) },
    { issuers: new Set([authority.subject]), trusted: new Set([1]) },
  ])
}
