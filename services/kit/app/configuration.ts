import { apiName } from '#graph/api.ts'
import { callVariable, reachVariable } from '#graph/names.ts'
import type { ServiceNode } from '#graph/service.ts'
import { type Address, parseAddress } from './address.ts'

/** What a process is told by its environment variables: read once at the start, complete and valid, or not at all. */
export type Configuration = {
  readonly system: string
  readonly service: string
  readonly environment: string
  readonly version: string
  /** Where the interface listens; null for a service that exposes nothing. */
  readonly listen: Address | null
  /** Where `/livez`, `/readyz` and `/metrics` listen. */
  readonly admin: Address
  /** For every interface that is called, by name: the service that exposes it, and where calls to it go. */
  readonly calls: Readonly<Record<string, { readonly callee: string; readonly address: Address }>>
  /** For every external that is reached, by name. */
  readonly reaches: Readonly<Record<string, Reach>>
  readonly kafka: KafkaConfiguration | null
  readonly postgres: PostgresConfiguration | null
  readonly rabbitmq: RabbitmqConfiguration | null
  /** Addresses inside that webhooks may go to all the same; empty but in a local run. */
  readonly webhookReceivers: readonly string[]
  readonly logLevel: LogLevel
}

/** Where an external is reached. `tls`: the application opens TLS itself, because no sidecar does. */
export type Reach = { readonly address: Address; readonly tls: boolean }

/** Kafka with mutual TLS. The files hold PEM; their paths are given. */
export type KafkaConfiguration = {
  readonly brokers: readonly string[]
  readonly tls: { readonly authorityFile: string; readonly certFile: string; readonly keyFile: string }
  readonly client: 'kafkajs' | 'platformatic'
}

/** Postgres; `host` is a folder that holds its socket, or a name. */
export type PostgresConfiguration = {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  /** In the format of `.pgpass`; null where a client certificate says who this is. */
  readonly passwordFile: string | null
  /** The server is verified, its name included, and asked with a client certificate; null on a socket. The files are renewed in place. */
  readonly tls: { readonly authorityFile: string; readonly certFile: string; readonly keyFile: string } | null
}

/** RabbitMQ over TLS; the server is verified. `passwordFile` holds the password alone. */
export type RabbitmqConfiguration = {
  readonly host: string
  readonly port: number
  readonly virtualHost: string
  /** Itself, or the file that holds it, where somebody else makes it up. */
  readonly username: string | { readonly file: string }
  readonly passwordFile: string
  readonly tls: { readonly authorityFile: string }
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
/** From chatty to silent. */
export type LogLevel = (typeof logLevels)[number]

/** The variables of a process, usually `process.env`. */
export type Variables = Readonly<Record<string, string | undefined>>

/** Lists every variable that is missing or malformed, so that one look mends them all. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
  readonly problems: readonly string[]

  constructor(service: string, problems: readonly string[]) {
    const list = problems.map((problem) => `  - ${problem}`).join('\n')
    super(
      `Service ${service} cannot start, its environment variables are not complete:\n${list}\n` +
        `Start it with "bin/parley start ${service}", which sets them, or set them by hand as the README's contract of a process says.`,
    )
    this.problems = problems
  }
}

/**
 * Reads what the node's declaration makes necessary: a service without a store needs no Postgres.
 * @throws ConfigurationError with every problem at once
 */
export function readConfiguration(node: ServiceNode, variables: Variables = process.env): Configuration {
  const read = reader(variables)
  const edges = node.spec.edges ?? []
  const uses = (...kinds: readonly string[]) => edges.some((edge) => kinds.includes(edge.kind))
  const configuration: Configuration = {
    system: read.text('PARLEY_SYSTEM'),
    service: read.expected('PARLEY_SERVICE', node.name),
    environment: read.text('PARLEY_ENVIRONMENT', 'local'),
    version: read.text('PARLEY_VERSION', '0.0.0'),
    listen: node.spec.exposes?.length ? read.address('PARLEY_LISTEN', 'where its interface listens') : null,
    admin: read.address('PARLEY_ADMIN', 'where its health and metrics listen'),
    calls: readCalls(node, read),
    reaches: readReaches(node, read),
    kafka: node.spec.publishes?.length || uses('consumes') ? readKafka(read) : null,
    postgres: node.spec.owns?.length ? readPostgres(read) : null,
    rabbitmq: uses('sends', 'works', 'asks') ? readRabbitmq(read) : null,
    webhookReceivers: uses('delivers') ? readWebhookReceivers(read) : [],
    logLevel: read.oneOf('LOG_LEVEL', logLevels, 'info'),
  }
  if (read.problems.length > 0) throw new ConfigurationError(node.name, read.problems)
  return configuration
}

function readCalls(node: ServiceNode, read: Reader): Configuration['calls'] {
  const apis = (node.spec.edges ?? []).filter((edge) => edge.kind === 'calls').map((edge) => apiName(edge.api))
  if (apis.length === 0) return {}
  const callees = read.pairs('PARLEY_CALLEES', 'which service exposes each called interface, as "interface=service,…"')
  return Object.fromEntries(
    [...new Set(apis)].flatMap((api) => {
      const callee = callees?.get(api)
      if (callee !== undefined) {
        return [[api, { callee, address: read.address(callVariable(callee), `where calls to ${callee} go`) }]]
      }
      // A missing variable has been reported as a whole already.
      if (callees) read.problems.push(`PARLEY_CALLEES names no service for ${api}: add "${api}=<service>"`)
      return []
    }),
  )
}

function readReaches(node: ServiceNode, read: Reader): Configuration['reaches'] {
  const externals = (node.spec.edges ?? []).filter((edge) => edge.kind === 'reaches').map((edge) => edge.external.name)
  return Object.fromEntries(
    externals.map((name) => [name, read.reach(reachVariable(name), `where ${name} is reached`)]),
  )
}

function readKafka(read: Reader): KafkaConfiguration {
  return {
    brokers: read.text('KAFKA_BROKERS').split(','),
    tls: {
      authorityFile: read.text('KAFKA_TLS_CA'),
      certFile: read.text('KAFKA_TLS_CERT'),
      keyFile: read.text('KAFKA_TLS_KEY'),
    },
    client: read.oneOf('KAFKA_CLIENT', ['kafkajs', 'platformatic'], 'kafkajs'),
  }
}

/** The words are libpq's. Of its TLS modes there is the strictest alone: whoever asks for TLS wants to know the other side. */
function readPostgres(read: Reader): PostgresConfiguration {
  const mode = read.oneOf('PGSSLMODE', ['disable', 'verify-full'], 'disable')
  return {
    host: read.text('PGHOST'),
    port: read.port('PGPORT', 5432),
    database: read.text('PGDATABASE'),
    user: read.text('PGUSER'),
    passwordFile: mode === 'disable' ? read.text('PGPASSFILE') : null,
    tls:
      mode === 'disable'
        ? null
        : {
            authorityFile: read.text('PGSSLROOTCERT'),
            certFile: read.text('PGSSLCERT'),
            keyFile: read.text('PGSSLKEY'),
          },
  }
}

/** Whoever subscribes chooses the address, so nothing inside may ever be one where others than the run's owner subscribe. */
function readWebhookReceivers(read: Reader): readonly string[] {
  const receivers = read.text('PARLEY_WEBHOOK_RECEIVERS', '')
  // Not the default of `environment`: who forgets to say where this is has not said that it is local.
  if (receivers !== '' && read.text('PARLEY_ENVIRONMENT', 'unknown') !== 'local') {
    read.problems.push('PARLEY_WEBHOOK_RECEIVERS is for local runs: anywhere else webhooks go outside alone')
  }
  return receivers.split(',').filter((address) => address !== '')
}

function readRabbitmq(read: Reader): RabbitmqConfiguration {
  return {
    host: read.text('AMQP_HOST'),
    port: read.port('AMQP_PORT', 5671),
    virtualHost: read.text('AMQP_VHOST'),
    username: read.has('AMQP_USERNAME_FILE') ? { file: read.text('AMQP_USERNAME_FILE') } : read.text('AMQP_USERNAME'),
    passwordFile: read.text('AMQP_PASSWORD_FILE'),
    tls: { authorityFile: read.text('AMQP_TLS_CA') },
  }
}

type Reader = ReturnType<typeof reader>

/** Reads single variables and collects what is wrong; the values given after a problem are never used. */
function reader(variables: Variables) {
  const problems: string[] = []
  const given = (name: string) => variables[name]?.trim() || undefined
  const address = (name: string, value: string | undefined, meaning: string): Address => {
    const parsed = value === undefined ? undefined : parseAddress(value)
    if (parsed === undefined) problems.push(`${name} is missing: ${meaning}, such as "unix:/path" or "tcp:host:port"`)
    else if (typeof parsed === 'string') problems.push(`${name} is "${value}": ${parsed}`)
    else return parsed
    return { kind: 'tcp', host: '', port: 0 }
  }
  return {
    problems,
    has: (name: string): boolean => given(name) !== undefined,
    text(name: string, fallback?: string): string {
      const value = given(name) ?? fallback
      if (value === undefined) problems.push(`${name} is missing`)
      return value ?? ''
    },
    expected(name: string, value: string): string {
      const found = given(name) ?? value
      if (found !== value) problems.push(`${name} is "${found}", but this is the code of ${value}`)
      return value
    },
    address: (name: string, meaning: string): Address => address(name, given(name), meaning),
    /** As an address; `tls:host:port` says that TLS is to be opened. */
    reach(name: string, meaning: string): Reach {
      const value = given(name)
      const tls = value?.startsWith('tls:') ?? false
      return { address: address(name, tls ? value?.slice('tls:'.length) : value, meaning), tls }
    },
    port(name: string, fallback: number): number {
      const port = Number(given(name) ?? fallback)
      if (!Number.isInteger(port) || port < 1 || port > 65_535)
        problems.push(`${name} is "${given(name)}", which is no port`)
      return port
    },
    oneOf<const T extends string>(name: string, values: readonly T[], fallback: T): T {
      const value = given(name) ?? fallback
      const found = values.find((candidate) => candidate === value)
      if (found === undefined) problems.push(`${name} is "${value}"; it may be ${values.join(', ')}`)
      return found ?? fallback
    },
    pairs(name: string, meaning: string): ReadonlyMap<string, string> | undefined {
      const value = given(name)
      if (value === undefined) {
        problems.push(`${name} is missing: ${meaning}`)
        return undefined
      }
      const pairs = value.split(',').map((pair) => pair.trim().split('='))
      const wrong = pairs.find((pair) => pair.length !== 2 || pair.includes(''))
      if (wrong) problems.push(`${name} holds "${wrong.join('=')}", which is no "interface=service"`)
      return new Map(pairs.map(([key = '', callee = '']) => [key, callee]))
    },
  }
}
