import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Plan } from '#plan/plan.ts'
import { certFiles, type Layout } from '../layout.ts'
import { administrator, ensurePasswords, ensureSecret, holders, password, writeSecret } from '../secrets.ts'
import { writeCommand } from './commands.ts'
import type { Part, PartTools } from './part.ts'
import { answersTls } from './probe.ts'
import { definitionsOf } from './rabbitmq-definitions.ts'

/** The header of AMQP 0-9-1, answered by a method frame. */
const greeting = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1')
const methodFrame = 1
const convergeScript = join(import.meta.dirname, 'rabbitmq-converge.erl')

/**
 * RabbitMQ as a node of its own: AMQP over TLS only, one user a service. Null where the plan has no queue. Its node is
 * named by its address, so a run that moves to another network begins with empty queues.
 */
export function rabbitmqPart(plan: Plan, layout: Layout, tools: PartTools): Part | null {
  if (plan.queues.length === 0) return null
  const site = siteOf(layout)
  const certs = certFiles(layout.certsDir, 'rabbitmq')
  const { address, port, metricsPort, distributionPort } = layout.rabbitmq
  return {
    name: 'rabbitmq',
    kind: 'part',
    argv: [join(site.home, 'sbin', 'rabbitmq-server')],
    env: serverEnvironment(layout),
    cwd: site.dir,
    user: null,
    logFile: join(layout.logsDir, 'rabbitmq.log'),
    needs: [],
    listens: [port, metricsPort, distributionPort].map((one) => ({ address, port: one })),
    sockets: [],
    urls: [],
    async prepare() {
      await ensurePasswords(plan, layout, 'rabbitmq')
      await ensureSecret(join(site.dir, '.erlang.cookie'))
      await linkHome(site.home, dirname(tools.rabbitmqSbin))
      await writeFile(join(site.dir, 'enabled_plugins'), '[rabbitmq_prometheus].\n')
      const admin = await password(layout, 'rabbitmq', administrator)
      await writeSecret(site.configFile, rabbitmqConfig(plan, layout, admin))
      const ctl = [join(tools.rabbitmqSbin, 'rabbitmqctl'), '--longnames', '--node', site.node]
      await writeCommand(layout, 'rabbitmqctl', cliEnvironment(layout), ctl)
    },
    async ready(signal) {
      const ca = await readFile(certs.authority, 'utf8')
      return answersTls(layout.rabbitmq, { ca }, greeting, (answer) => answer[0] === methodFrame, signal)
    },
    async provision() {
      const passwords = await Promise.all(
        holders(plan, 'rabbitmq').map(async (name) => [name, await password(layout, 'rabbitmq', name)] as const),
      )
      const definitions = definitionsOf(plan, Object.fromEntries(passwords))
      await writeSecret(site.definitionsFile, `${JSON.stringify(definitions, null, 2)}\n`)
      await converge(plan, layout)
    },
    stop: { signal: 'SIGTERM', graceMs: 8_000 },
  }
}

/** The broker's settings, with its administrator's password: a file for its owner alone. */
export function rabbitmqConfig(plan: Plan, layout: Layout, adminPassword: string): string {
  const { address, port, metricsPort } = layout.rabbitmq
  const certs = certFiles(layout.certsDir, 'rabbitmq')
  const settings = {
    'listeners.tcp': 'none',
    'listeners.ssl.1': `${address}:${port}`,
    'ssl_options.cacertfile': certs.authority,
    'ssl_options.certfile': certs.cert,
    'ssl_options.keyfile': certs.key,
    'ssl_options.versions.1': 'tlsv1.3',
    // Users have passwords; the certificate is the server's.
    'ssl_options.verify': 'verify_none',
    'ssl_options.fail_if_no_peer_cert': 'false',
    // An empty node is made with these, and so never with its well-known guest.
    default_vhost: plan.system,
    default_user: administrator,
    default_pass: adminPassword,
    'prometheus.tcp.ip': address,
    'prometheus.tcp.port': metricsPort,
    'management_agent.disable_metrics_collector': 'true',
    'vm_memory_high_watermark.absolute': '512MB',
    'disk_free_limit.absolute': '50MB',
    'raft.wal_max_size_bytes': 16 * 1024 * 1024,
    'log.console': 'true',
    'log.console.level': 'warning',
    // Every probe is a connection that ends before its login; refused logins are errors and stay.
    'log.connection.level': 'error',
    'log.file': 'false',
  }
  return Object.entries(settings)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}

function siteOf(layout: Layout) {
  const dir = join(layout.dataDir, 'rabbitmq')
  return {
    dir,
    home: join(dir, 'home'),
    configFile: join(dir, 'rabbitmq.conf'),
    definitionsFile: join(dir, 'definitions.json'),
    node: `parley@${layout.rabbitmq.address}`,
  }
}

/**
 * Erlang nodes usually find each other through a daemon, epmd, that outlives them and listens on every run's behalf. Ours
 * has a fixed port instead and starts none.
 */
function distribution({ rabbitmq }: Layout): string {
  return `-start_epmd false -erl_epmd_port ${rabbitmq.distributionPort}`
}

const path = '/usr/local/bin:/usr/bin:/bin'

function serverEnvironment(layout: Layout): Record<string, string> {
  const { dir, configFile, node } = siteOf(layout)
  const octets = layout.rabbitmq.address.replaceAll('.', ',')
  return {
    PATH: path,
    LANG: 'C.UTF-8',
    HOME: dir,
    // The machine's own settings are for the machine's own broker.
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, 'none.config'),
    RABBITMQ_CONFIG_FILE: configFile,
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
    RABBITMQ_LOG_BASE: layout.logsDir,
    RABBITMQ_LOGS: '-',
    RABBITMQ_NODENAME: node,
    RABBITMQ_USE_LONGNAME: 'true',
    RABBITMQ_DIST_PORT: String(layout.rabbitmq.distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: [
      // Named from the start, the node is spared starting another to look for epmd.
      `-name ${node} ${distribution(layout)} -kernel inet_dist_use_interface {${octets}}`,
      // Certificates are read again for each connection, so that renewed ones need no restart.
      '-ssl bypass_pem_cache true',
      // Schedulers that wait busily would take the CPU from the services beside them.
      '+sbwt none +sbwtdcpu none +sbwtdio none',
    ].join(' '),
  }
}

/** For Erlang's own tools: they connect to the node and listen on nothing. */
function cliEnvironment(layout: Layout): Record<string, string> {
  return {
    PATH: path,
    LANG: 'C.UTF-8',
    HOME: siteOf(layout).dir,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CTL_ERL_ARGS: `${distribution(layout)} -dist_listen false`,
  }
}

/**
 * Makes a home of RabbitMQ's scripts and only the libraries that it needs. Erlang looks through every library's folder
 * for each of 700 modules: with all 70 a start takes twice the time.
 */
async function linkHome(home: string, installed: string): Promise<void> {
  const available = new Map(
    (await readdir(join(installed, 'plugins'))).map((folder) => [folder.replace(/-[0-9].*/, ''), folder]),
  )
  const needed = new Set<string>()
  const need = async (name: string): Promise<void> => {
    const folder = available.get(name)
    if (!folder || needed.has(folder)) return
    needed.add(folder)
    const description = await readFile(join(installed, 'plugins', folder, 'ebin', `${name}.app`), 'utf8')
    for (const other of applicationsOf(description)) await need(other)
  }
  for (const name of ['rabbit', 'rabbitmq_prelaunch', 'rabbitmq_prometheus']) await need(name)
  await rm(home, { recursive: true, force: true })
  await mkdir(join(home, 'plugins'), { recursive: true })
  await cp(join(installed, 'sbin'), join(home, 'sbin'), { recursive: true, dereference: true })
  await Promise.all(
    [...needed].map((folder) => symlink(join(installed, 'plugins', folder), join(home, 'plugins', folder))),
  )
}

/** The applications that an Erlang application names as its own needs. */
function applicationsOf(description: string): string[] {
  return [...description.matchAll(/\{\s*(?:included_)?applications\s*,\s*\[([^\]]*)\]/g)]
    .flatMap((match) => match[1]?.split(',') ?? [])
    .map((name) => name.replace(/%.*$/gm, '').trim())
}

/**
 * Brings the running node to the definitions by evaluating the script inside it: a plain Erlang takes 0.2 s for that,
 * `rabbitmqctl` half a second for each command.
 */
async function converge(plan: Plan, layout: Layout): Promise<void> {
  const { node, definitionsFile, dir } = siteOf(layout)
  const code = [
    '[Node, Script, File, VHost] = init:get_plain_arguments()',
    '{ok, Text} = file:read_file(Script)',
    '{ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text))',
    '{ok, Expressions} = erl_parse:parse_exprs(Tokens)',
    "Given = [{'File', File}, {'VHost', unicode:characters_to_binary(VHost)}]",
    'case rpc:call(list_to_atom(Node), erl_eval, exprs, [Expressions, Given], 20000) of ' +
      '{value, done, _} -> halt(0); ' +
      'Wrong -> io:format("~p", [Wrong]), halt(1) end',
  ].join(', ')
  const name = `provision-${process.pid}@${layout.rabbitmq.address}`
  const flags = ['-noinput', '-boot', 'no_dot_erlang', '-hidden', '-name', name, ...distribution(layout).split(' ')]
  const given = ['-extra', node, convergeScript, definitionsFile, plan.system]
  const args = [...flags, '-dist_listen', 'false', '-eval', code, ...given]
  try {
    await promisify(execFile)('erl', args, { env: cliEnvironment(layout), cwd: dir, timeout: 30_000 })
  } catch (error) {
    const said = String((error as { stdout?: string }).stdout || error).slice(0, 2_000)
    throw new Error(`RabbitMQ did not take its definitions: ${said}. Its log tells more.`, { cause: error })
  }
}
