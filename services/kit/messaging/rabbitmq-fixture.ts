import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { resolveRedelivery } from '#graph/defaults.ts'
import { deadLetterQueue, replyExchange, replyQueuePrefix, retryQueues } from '#graph/names.ts'
import type { QueueNode } from '#graph/queue.ts'
import type { RabbitmqConfiguration } from '../app/configuration.ts'

/** One real RabbitMQ node over TLS, with some queues and all that belongs to them, for tests. */
export type RabbitmqFixture = {
  readonly configuration: RabbitmqConfiguration
  /** The same for the service `planning`, which may ask over the queues and no more. */
  readonly asking: RabbitmqConfiguration
  /** Ends the node as a crash would, until `start`. */
  crash(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const installed = '/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8'
const startTimeoutMs = 40_000
const asker = 'planning'
const ports = { amqp: 5671, distribution: 25_672 }

/** Starts a node whose user may do just what a worker and sender of the queues may. */
export async function startRabbitmq(...queues: readonly QueueNode[]): Promise<RabbitmqFixture> {
  const home = mkdtempSync(join(tmpdir(), 'parley-mq-'))
  const host = `127.88.${(process.pid >> 8) & 0xff}.${process.pid & 0xff || 1}`
  const files = writeFiles(home, host, queues)
  let node: ChildProcess | undefined
  const start = async () => {
    const log = openSync(join(home, 'log'), 'a')
    node = spawn(join(installed, 'sbin/rabbitmq-server'), [], {
      env: environment(home, host),
      stdio: ['ignore', log, log],
      detached: true,
    })
    for (const until = Date.now() + startTimeoutMs; Date.now() < until; await sleep(100)) {
      if (await answers(host)) return
    }
    throw new Error(
      `RabbitMQ did not start within ${startTimeoutMs} ms: ${readFileSync(join(home, 'log'), 'utf8').slice(-3_000)}`,
    )
  }
  const crash = async () => {
    const { pid, exitCode } = node ?? {}
    if (pid === undefined || exitCode !== null) return
    const ended = new Promise<void>((resolve) => node?.once('exit', () => resolve()))
    // The node is a shell and the Erlang machine that it waits for: their own group, which this test started.
    process.kill(-pid, 'SIGKILL')
    await ended
  }
  await start()
  // As on a cluster, where the operator makes the name up.
  const usernameFile = join(home, 'username')
  writeFileSync(usernameFile, 'notifications\n')
  const configuration = {
    host,
    port: ports.amqp,
    virtualHost: 'test',
    username: { file: usernameFile },
    passwordFile: files.password,
    tls: { authorityFile: files.cert },
  }
  return {
    configuration,
    asking: { ...configuration, username: asker },
    crash,
    start,
    async stop() {
      await crash()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function environment(home: string, host: string): Record<string, string> {
  const name = `test@${host}`
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    HOME: home,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(home, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
    RABBITMQ_LOG_BASE: home,
    RABBITMQ_LOGS: '-',
    RABBITMQ_NODENAME: name,
    RABBITMQ_USE_LONGNAME: 'true',
    RABBITMQ_DIST_PORT: String(ports.distribution),
    // Without the daemon that usually connects Erlang nodes: it would outlive the test.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      `-name ${name} -start_epmd false -erl_epmd_port ${ports.distribution} ` +
      `-kernel inet_dist_use_interface {${host.replaceAll('.', ',')}} +sbwt none +sbwtdcpu none +sbwtdio none`,
  }
}

function writeFiles(home: string, host: string, queues: readonly QueueNode[]): { cert: string; password: string } {
  const [cert, key, password] = [join(home, 'cert.pem'), join(home, 'key.pem'), join(home, 'password')]
  const subject = ['-subj', '/CN=rabbitmq', '-addext', `subjectAltName=IP:${host}`, '-keyout', key, '-out', cert]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject], { stdio: 'ignore' })
  if (!existsSync(join(home, 'mnesia'))) mkdirSync(join(home, 'mnesia'))
  writeFileSync(password, 'secret\n', { mode: 0o600 })
  writeFileSync(join(home, '.erlang.cookie'), 'test', { mode: 0o400 })
  writeFileSync(join(home, 'plugins'), '[].\n')
  writeFileSync(join(home, 'definitions.json'), JSON.stringify(definitions(queues)))
  const settings = [
    'listeners.tcp = none',
    `listeners.ssl.1 = ${host}:${ports.amqp}`,
    `ssl_options.cacertfile = ${cert}`,
    `ssl_options.certfile = ${cert}`,
    `ssl_options.keyfile = ${key}`,
    `load_definitions = ${join(home, 'definitions.json')}`,
    'log.console = true',
    'log.console.level = warning',
    'log.file = false',
  ]
  writeFileSync(join(home, 'rabbitmq.conf'), `${settings.join('\n')}\n`)
  return { cert, password }
}

/** The topology as it is provisioned: an exchange for each queue, no permission to declare or to use the default exchange. */
function definitions(queues: readonly QueueNode[]): object {
  const common = { vhost: 'test', durable: true, auto_delete: false }
  const policies = queues.flatMap(policiesOf)
  const names = policies.map(({ name }) => name)
  const pattern = (allowed: readonly string[]) => `^(${allowed.join('|')})$`
  const escaped = (name: string) => name.replaceAll('.', '\\.')
  const asked = queues.map(({ name }) => name)
  const [answers, replies] = [asked.map(replyExchange), `${escaped(replyQueuePrefix(asker))}.*`]
  const salt = Buffer.from('salt')
  const digest = createHash('sha256').update(salt).update('secret').digest()
  const password_hash = Buffer.concat([salt, digest]).toString('base64')
  const user = (name: string) => ({
    ...{ name, password_hash, hashing_algorithm: 'rabbit_password_hashing_sha256', tags: [] },
  })
  const may = (name: string, configure: string, write: readonly string[], read: readonly string[]) => ({
    ...{ user: name, vhost: 'test', configure, write: pattern(write), read: pattern(read) },
  })
  return {
    vhosts: [{ name: 'test' }],
    users: [user('notifications'), user(asker)],
    permissions: [
      may(
        'notifications',
        '^$',
        [...names, ...answers].map(escaped),
        [...asked, ...asked.map(deadLetterQueue)].map(escaped),
      ),
      may(asker, `^${replies}$`, [...asked.map(escaped), replies], [...answers.map(escaped), replies]),
    ],
    policies: policies.map((policy) => ({
      ...policy,
      vhost: 'test',
      pattern: pattern([escaped(policy.name)]),
      'apply-to': 'queues',
      priority: 1,
    })),
    exchanges: [...names, ...answers].map((name) => ({
      ...{ ...common, name, type: answers.includes(name) ? 'direct' : 'fanout', internal: false, arguments: {} },
    })),
    queues: names.map((name) => ({ ...common, name, arguments: { 'x-queue-type': 'quorum' } })),
    bindings: names.map((name) => ({
      source: name,
      vhost: 'test',
      destination: name,
      destination_type: 'queue',
      routing_key: name,
      arguments: {},
    })),
  }
}

function policiesOf({ name, redelivery }: QueueNode): { name: string; definition: object }[] {
  const resolved = resolveRedelivery(redelivery)
  const bounded = { 'max-length': 100_000, overflow: 'reject-publish' }
  const deadTo = (exchange: string) => ({ 'dead-letter-exchange': exchange, 'dead-letter-strategy': 'at-least-once' })
  return [
    { name, definition: { ...bounded, ...deadTo(deadLetterQueue(name)), 'delivery-limit': resolved.attempts - 1 } },
    ...retryQueues(name, resolved).map((retry) => ({
      name: retry.name,
      definition: { ...bounded, ...deadTo(name), 'message-ttl': retry.waitMs },
    })),
    { name: deadLetterQueue(name), definition: { ...bounded, 'delivery-limit': 1_000_000 } },
  ]
}

/** The node is of use once it speaks AMQP: the TLS listener opens last. */
function answers(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: ports.amqp, rejectUnauthorized: false })
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('secureConnect', () => socket.write(Buffer.from('AMQP\x00\x00\x09\x01', 'latin1')))
    socket.once('data', () => settle(true))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.setTimeout(2_000, () => settle(false))
  })
}
