import { X509Certificate } from 'node:crypto'
import { readFile, rename, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../error-code.ts'
import { certFiles, type Endpoint, type Layout } from '../layout.ts'
import { writeSecret } from '../secrets.ts'
import { reloadKafkaCertificates } from './kafka-admin.ts'
import { answersTls, readIdentity, showsCertificate, type TlsIdentity } from './probe.ts'

/** Whom the broker's certificate names: the broker itself, and the run where it administers the broker. */
export const kafkaIdentity = 'kafka'

const listenerNames = ['CLIENTS', 'CONTROLLER']
const pollMs = 100
/** After so many tries without an effect the broker is asked again: it may have refused the change for what it knew then. */
const triesBeforeAsking = 20
const reloadMsMax = 15_000
/** The broker applies a change within milliseconds, on a busy machine within this. */
const unseenMs = 500

/** ApiVersions, version 0, correlation id 7, no client id: what every client asks first. */
const greeting = Buffer.from('0000000a' + '0012' + '0000' + '00000007' + 'ffff', 'hex')
const isAnswer = (bytes: Buffer): boolean => bytes.length >= 8 && bytes.readInt32BE(4) === 7

/** Whether the broker answers somebody. */
export function answersKafka(at: Endpoint, identity: TlsIdentity, signal: AbortSignal): Promise<boolean> {
  return answersTls(at, identity, greeting, isAnswer, signal)
}

/** Kafka wants the key and the certificate in one file. It is moved into place: a broker may be reading it. */
export async function writeIdentity(layout: Layout, file: string): Promise<void> {
  const { cert, key } = await readIdentity(certFiles(layout.certsDir, kafkaIdentity))
  await writeSecret(`${file}.new`, key + cert)
  await rename(`${file}.new`, file)
}

/**
 * Makes the broker take renewed files up, and returns when both of its listeners have. It tries a new certificate against
 * the authorities that it trusts so far and refuses what does not fit: so it takes the authorities first. It tells nobody
 * when it has done so, but it is seen: by whom it answers, whom it refuses, and the certificate that it shows.
 */
export async function reloadIdentity(layout: Layout, file: string): Promise<void> {
  const renewed = await readIdentity(certFiles(layout.certsDir, kafkaIdentity))
  const shown = await readFile(file, 'utf8')
  const former = await readFormer(file)
  const current: TlsIdentity = { ca: renewed.ca, cert: shown, key: shown }
  const reload = (): Promise<void> => reloadKafkaCertificates(layout.kafka, current, listenerNames)
  const until = (what: string, done: Probe) => untilBoth(layout, what, done, reload)
  await reload()
  if (shown !== renewed.key + renewed.cert) {
    await until('trust its new authority', (at, signal) => answersKafka(at, renewed, signal))
    await writeSecret(`${file}.former`, shown)
    await writeIdentity(layout, file)
    await reload()
    await until('show its renewed certificate', (at, signal) => showsCertificate(at, renewed, renewed.cert, signal))
  } else if (former !== null && !isTrusted(former, renewed.ca)) {
    const stranger: TlsIdentity = { ca: renewed.ca, cert: former, key: former }
    await until('refuse the authority that was dropped', async (at, signal) => {
      const answer = await answersKafka(at, stranger, signal)
      return !answer && !signal.aborted
    })
    await rm(`${file}.former`)
  } else {
    // Nothing shows that it trusts one authority more, until somebody has a certificate of it.
    await sleep(unseenMs)
  }
}

async function readFormer(file: string): Promise<string | null> {
  try {
    return await readFile(`${file}.former`, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

type Probe = (at: Endpoint, signal: AbortSignal) => Promise<boolean>

async function untilBoth({ kafka }: Layout, what: string, done: Probe, askAgain: () => Promise<void>): Promise<void> {
  const both = [kafka, { address: kafka.address, port: kafka.controllerPort }]
  const until = performance.now() + reloadMsMax
  for (let tries = 1; performance.now() < until; tries++) {
    const signal = AbortSignal.timeout(1_000)
    if ((await Promise.all(both.map((at) => done(at, signal)))).every(Boolean)) return
    await sleep(pollMs)
    if (tries % triesBeforeAsking === 0) await askAgain()
  }
  throw new Error(`Kafka did not ${what} within ${reloadMsMax / 1000} s: see its log.`)
}

/** Whether one of these authorities issued a certificate. */
function isTrusted(cert: string, authorities: string): boolean {
  const certificate = new X509Certificate(certificateOf(cert))
  return authorities
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter((one) => one.includes('BEGIN CERTIFICATE'))
    .some((one) => certificate.verify(new X509Certificate(one).publicKey))
}

/** The certificate out of a file that begins with its key. */
function certificateOf(file: string): string {
  return file.slice(file.indexOf('-----BEGIN CERTIFICATE-----'))
}
