import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Plan } from '#plan/plan.ts'
import { certFiles, type Layout } from '../layout.ts'
import { writeSecret } from '../secrets.ts'
import { writeCommand } from './commands.ts'
import { jvmFlags } from './java.ts'
import { provisionKafka } from './kafka-admin.ts'
import { answersKafka, kafkaIdentity as identity, reloadIdentity, writeIdentity } from './kafka-identity.ts'
import type { Part, PartTools } from './part.ts'
import { readIdentity } from './probe.ts'

/**
 * Kafka as one node that is broker and controller, for clients with a certificate of the run only. Topics and access
 * are the plan's, exactly. Null where the plan has no topic.
 */
export function kafkaPart(plan: Plan, layout: Layout, tools: PartTools): Part | null {
  if (plan.topics.length === 0) return null
  const site = siteOf(layout)
  const certs = certFiles(layout.certsDir, identity)
  const { address, port, controllerPort } = layout.kafka
  const java = (heapMiB: number): [string, ...string[]] => [
    tools.java,
    ...jvmFlags({ heapMiB, dir: site.dir }),
    `-Dlog4j2.configurationFile=${site.loggingFile}`,
    ...['-cp', tools.kafkaClasspath],
  ]
  return {
    name: 'kafka',
    kind: 'part',
    argv: [...java(256), 'kafka.Kafka', site.configFile],
    env: {},
    cwd: site.dir,
    user: null,
    logFile: join(layout.logsDir, 'kafka.log'),
    needs: [],
    listens: [port, controllerPort].map((one) => ({ address, port: one })),
    sockets: [],
    urls: [],
    async prepare() {
      await mkdir(site.dir, { recursive: true, mode: 0o700 })
      await writeSecret(site.loggingFile, logging)
      await writeSecret(site.configFile, properties(kafkaConfig(layout)))
      await writeSecret(site.clientFile, properties({ 'security.protocol': 'SSL', ...tls(layout) }))
      await writeIdentity(layout, site.identityFile)
      await format(java(128), site)
      await writeCommands(layout, java(128), site.clientFile)
    },
    ready: async (signal) => answersKafka(layout.kafka, await readIdentity(certs), signal),
    provision: async () => provisionKafka(plan, layout.kafka, await readIdentity(certs)),
    reload: () => reloadIdentity(layout, site.identityFile),
    stop: { signal: 'SIGTERM', graceMs: 8_000 },
  }
}

/** The broker's settings, as they go into its file. */
export function kafkaConfig(layout: Layout): Readonly<Record<string, string | number | boolean>> {
  const { address, controllerPort } = layout.kafka
  const listen = listeners(layout)
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    // A broker that was killed is fenced until its session ends; a single one has nobody to protect, so that is short. But
    // one that is fenced because its machine is busy loses the leadership of everything, and every group starts anew.
    'broker.session.timeout.ms': 4_000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.voters': `1@${address}:${controllerPort}`,
    listeners: Object.entries(listen)
      .map(([name, at]) => `${name}://${at}`)
      .join(','),
    'advertised.listeners': `CLIENTS://${listen.CLIENTS}`,
    'listener.security.protocol.map': 'CLIENTS:SSL,CONTROLLER:SSL',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'CLIENTS',
    // Who one is, is in the certificate's common name; who has none of ours does not get in.
    ...tls(layout),
    'ssl.client.auth': 'required',
    'ssl.principal.mapping.rules': 'RULE:^(?:.*,)?CN=([^,]+)(?:,.*)?$/$1/',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'allow.everyone.if.no.acl.found': false,
    'super.users': `User:${identity}`,
    'auto.create.topics.enable': false,
    'log.dirs': siteOf(layout).logsDir,
    // One node: its own topics have one replica, and few partitions, each of which costs files.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 3,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 3,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Waiting for more members of a new group would only delay the first event.
    'group.initial.rebalance.delay.ms': 0,
    // Each network thread has certificates of its own, and takes renewed ones up by itself. With one a listener, what one
    // connection shows is what all have, so a rotation can be seen to be complete; one is ample on a single machine.
    'num.network.threads': 1,
    // Threads and buffers for two cores and a small heap.
    'num.io.threads': 4,
    'background.threads': 2,
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
    'log.segment.bytes': 64 * 1024 * 1024,
  }
}

function tls(layout: Layout): Record<string, string> {
  return {
    'ssl.enabled.protocols': 'TLSv1.3',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': siteOf(layout).identityFile,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': certFiles(layout.certsDir, identity).authority,
  }
}

function listeners({ kafka: { address, port, controllerPort } }: Layout) {
  return { CLIENTS: `${address}:${port}`, CONTROLLER: `${address}:${controllerPort}` }
}

function siteOf(layout: Layout) {
  const dir = join(layout.dataDir, 'kafka')
  return {
    dir,
    configFile: join(dir, 'server.properties'),
    loggingFile: join(dir, 'log4j2.yaml'),
    identityFile: join(dir, 'identity.pem'),
    logsDir: join(dir, 'log'),
    /** For people: `--command-config` of Kafka's own tools. */
    clientFile: join(layout.runDir, 'client.properties'),
  }
}

/** Formats the log folder once. A format that was interrupted left no `meta.properties`, and is done again. */
async function format(java: readonly [string, ...string[]], site: ReturnType<typeof siteOf>): Promise<void> {
  if (await exists(join(site.logsDir, 'meta.properties'))) return
  const [program, ...flags] = java
  const id = clusterId()
  try {
    await promisify(execFile)(program, [
      ...flags,
      ...['kafka.tools.StorageTool', 'format', '--ignore-formatted', '-t', id, '-c', site.configFile],
    ])
  } catch (error) {
    throw new Error(`Kafka could not format ${site.logsDir}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Kafka's own tools, pointed at this run. */
async function writeCommands(layout: Layout, java: readonly string[], clientFile: string): Promise<void> {
  const tools = {
    'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
    'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
    'kafka-acls': 'org.apache.kafka.tools.AclCommand',
  }
  const at = ['--bootstrap-server', listeners(layout).CLIENTS, '--command-config', clientFile]
  await Promise.all(Object.entries(tools).map(([name, main]) => writeCommand(layout, name, {}, [...java, main, ...at])))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function properties(entries: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(entries)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

const logging = `Configuration:
  status: ERROR
  Appenders:
    Console:
      name: out
      PatternLayout: { pattern: "%d{ISO8601} %p %c{1} %m%n" }
  Loggers:
    Root: { level: WARN, AppenderRef: { ref: out } }
`

/** As Kafka makes its own: one that begins with a dash would be taken for an option. */
function clusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? clusterId() : id
}
