import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { until } from '../until-fixture.ts'
import { mendKafkajs } from './kafkajs-mends.ts'
import type { TlsFiles } from './port.ts'

/** One real broker (KRaft, mutual TLS, ACLs) in a scratch directory, for tests. */
export type BrokerFixture = {
  /** The one bootstrap address. */
  readonly brokers: readonly string[]
  /** A certificate of the broker's authority; its common name is the Kafka principal. `admin` is the super user. */
  identity(name: string): TlsFiles
  /** The same, from an authority the broker does not trust. */
  foreignIdentity(name: string): TlsFiles
  /** Ends the broker as a crash would. */
  kill(): Promise<void>
  /** Starts it again on the same data. */
  start(): Promise<void>
  /** Kills it and removes its data. */
  stop(): Promise<void>
}

const startTimeoutMs = 40_000

/** Starts the broker with the toolchain that `make up` fetches. Throws with the broker's log when it does not become ready. */
export async function startBroker(): Promise<BrokerFixture> {
  const directory = mkdtempSync(join(tmpdir(), 'parley-kafka-'))
  // An address of its own, so that two runs on one machine never meet.
  const host = `127.82.${(process.pid >> 8) & 0xff}.${process.pid & 0xff || 1}`
  const authority = createAuthority(directory, 'ca')
  const foreign = createAuthority(directory, 'foreign')
  const broker = authority.issue('broker', host)
  writeFileSync(
    join(directory, 'broker.pem'),
    readFileSync(broker.keyFile, 'utf8') + readFileSync(broker.certFile, 'utf8'),
  )
  writeFileSync(join(directory, 'server.properties'), properties(directory, host))
  writeFileSync(join(directory, 'log4j2.yaml'), logging)
  run(directory, [
    'kafka.tools.StorageTool',
    'format',
    '-t',
    'AAAAAAAAAAAAAAAAAAAAAQ',
    '-c',
    join(directory, 'server.properties'),
  ])

  let child = launch(directory)
  await ready(child, host, directory)
  return {
    brokers: [`${host}:9092`],
    identity: (name) => authority.issue(name, host),
    foreignIdentity: (name) => foreign.issue(name, host),
    kill: () => kill(child),
    async start() {
      child = launch(directory)
      await ready(child, host, directory)
    },
    async stop() {
      await kill(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** kafkajs as the broker's super user, for what the port does not offer. */
export function superUser({ brokers, identity }: BrokerFixture): kafkajs.Kafka {
  mendKafkajs()
  const { caFile, certFile, keyFile } = identity('admin')
  const ssl = { ca: [readFileSync(caFile)], cert: readFileSync(certFile), key: readFileSync(keyFile) }
  return new kafkajs.Kafka({ brokers: [...brokers], ssl, logLevel: kafkajs.logLevel.NOTHING })
}

/**
 * Creates topics, and waits until the broker shows them: the controller answers before the broker knows. kafkajs's own wait takes
 * "no such topic" for the end.
 */
export async function createTopics(admin: kafkajs.Admin, ...topics: kafkajs.ITopicConfig[]): Promise<void> {
  await admin.createTopics({ topics, waitForLeaders: false })
  const shown = async () => {
    const known = new Set(await admin.listTopics())
    return topics.every(({ topic }) => known.has(topic))
  }
  await until(shown, 'the broker shows the topics', 10_000, 20)
}

function javaArguments(directory: string): string[] {
  const tools = process.env.PARLEY_TOOLS ?? resolve(import.meta.dirname, '../../../.parley/tools')
  const kafka = readdirSync(tools).find((name) => name.startsWith('kafka-'))
  if (kafka === undefined) throw new Error(`No Kafka in ${tools}: run "make up" once, or set PARLEY_TOOLS.`)
  const flags = ['-Xms128m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
  return [
    ...flags,
    '-cp',
    join(tools, kafka, 'libs', '*'),
    `-Dlog4j2.configurationFile=${join(directory, 'log4j2.yaml')}`,
  ]
}

function run(directory: string, main: string[]): void {
  const result = spawnSync('java', [...javaArguments(directory), ...main], { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`${main[0]} failed: ${result.stderr}${result.stdout}`)
}

function launch(directory: string): ChildProcess {
  const log = openSync(join(directory, 'broker.log'), 'a')
  const main = ['kafka.Kafka', join(directory, 'server.properties')]
  return spawn('java', [...javaArguments(directory), ...main], { stdio: ['ignore', log, log] })
}

async function ready(child: ChildProcess, host: string, directory: string): Promise<void> {
  const until = Date.now() + startTimeoutMs
  while (Date.now() < until && child.exitCode === null) {
    if (await listens(host)) return
    await sleep(50)
  }
  const log = readFileSync(join(directory, 'broker.log'), 'utf8').slice(-4000)
  await kill(child)
  throw new Error(`The broker on ${host} did not become ready within ${startTimeoutMs} ms:\n${log}`)
}

function listens(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(9092, host)
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
}

function kill(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

function properties(directory: string, host: string): string {
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@${host}:9093
listeners=CLIENTS://${host}:9092,CONTROLLER://${host}:9093
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CONTROLLER:SSL,CLIENTS:SSL
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=${directory}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location=${directory}/ca/ca.pem
ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:broker;User:admin
auto.create.topics.enable=false
broker.heartbeat.interval.ms=250
broker.session.timeout.ms=1000
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.dirs=${directory}/data
`
}

const logging = `Configuration:
  Appenders:
    Console: { name: C, PatternLayout: { pattern: "%d{ISO8601} %p %c{1} %m%n" } }
  Loggers:
    Root: { level: WARN, AppenderRef: { ref: C } }
`

function createAuthority(directory: string, name: string) {
  const home = join(directory, name)
  const [caFile, caKey] = [join(home, 'ca.pem'), join(home, 'ca.key')]
  mkdirSync(home)
  openssl(['-subj', `/CN=parley-test-${name}`, '-keyout', caKey, '-out', caFile])
  return {
    issue(subject: string, host: string): TlsFiles {
      const [certFile, keyFile] = [join(home, `${subject}.pem`), join(home, `${subject}.key`)]
      const signed = ['-CA', caFile, '-CAkey', caKey, '-addext', `subjectAltName=IP:${host}`]
      openssl(['-subj', `/CN=${subject}`, ...signed, '-keyout', keyFile, '-out', certFile])
      return { caFile, certFile, keyFile }
    },
  }
}

function openssl(rest: string[]): void {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  const result = spawnSync('openssl', ['req', '-x509', ...curve, ...rest], { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`openssl failed: ${result.stderr || result.error}`)
}
