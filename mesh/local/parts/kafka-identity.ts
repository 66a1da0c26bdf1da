import { X509Certificate } from 'node:crypto'
import { readFile, rename, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { certFiles, type Endpoint, type Layout } from '../layout.ts'
import { writeSecret } from '../secrets.ts'
import { reloadKafkaCertificates } from './kafka-admin.ts'
import { answersTls, readIdentity, showsCertificate, type TlsIdentity } from './probe.ts'

/** Whom the broker's certificate names: the broker itself, and the run where it administers the broker. */
export const kafkaIdentity = 'kafka'

const listenerNames = ['CLIENTS', 'CONTROLLER']
const pollMs = 200
/** After this long without an effect the broker is asked again: it may have refused the change for what it knew then. */
const askAgainMs = 1_000
const reloadMsMax = 12_000

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
 * the authorities that it trusts so far and refuses what does not fit, so it takes the authorities first. It tells nobody
 * when it has done so: it is seen by the certificate that it shows, and by its refusal of the one that it showed before.
 */
export async function reloadIdentity(layout: Layout, file: string): Promise<void> {
  const renewed = await readIdentity(certFiles(layout.certsDir, kafkaIdentity))
  const shown = await readFile(file, 'utf8')
  const current: TlsIdentity = { ca: renewed.ca, cert: shown, key: shown }
  const reload = (): Promise<void> => reloadKafkaCertificates(layout.kafka, current, listenerNames)
  const formerFile = `${file}.former`
  await reload()
  if (shown !== renewed.key + renewed.cert) {
    await sleep(pollMs)
    await writeSecret(formerFile, shown)
    await writeIdentity(layout, file)
    await reload()
    const shows = (at: Endpoint) => showsCertificate(at, renewed, renewed.cert, AbortSignal.timeout(askAgainMs))
    await untilBoth(layout, shows, reload, 'show its renewed certificate')
    return
  }
  const former = await readFile(formerFile, 'utf8').catch(() => null)
  if (former === null || isTrusted(former, renewed.ca)) return
  const stranger: TlsIdentity = { ca: renewed.ca, cert: former, key: former }
  const refuses = async (at: Endpoint) => !(await answersKafka(at, stranger, AbortSignal.timeout(askAgainMs)))
  await untilBoth(layout, refuses, reload, 'refuse the authority that was dropped')
  await rm(formerFile)
}

async function untilBoth(
  { kafka }: Layout,
  done: (at: Endpoint) => Promise<boolean>,
  askAgain: () => Promise<void>,
  what: string,
): Promise<void> {
  const both = [kafka, { address: kafka.address, port: kafka.controllerPort }]
  for (let waitedMs = 0; waitedMs < reloadMsMax; waitedMs += pollMs) {
    if ((await Promise.all(both.map(done))).every(Boolean)) return
    await sleep(pollMs)
    if (waitedMs % askAgainMs === askAgainMs - pollMs) await askAgain()
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
