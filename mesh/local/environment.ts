import { callVariable, reachVariable } from '#graph/names.ts'
import type { Plan } from '#plan/plan.ts'
import type { Endpoint, Layout, ServiceSite } from './layout.ts'
import { passwordFile, pgpassFile } from './secrets.ts'

/** What the run decides and the plan does not. */
export type EnvironmentOptions = {
  /** The version that services report. Default: `dev`. */
  readonly version?: string
  /** Default: `kafkajs`. */
  readonly kafkaClient?: 'kafkajs' | 'platformatic'
  /** Default: `info`. */
  readonly logLevel?: string
  /** Where programs are looked for; services in other languages need it. Default: none. */
  readonly path?: string
}

type Variables = Readonly<Record<string, string>>

/**
 * The whole environment of a service's process: the contract of docs/process-contract.md, and of it only what the service is
 * granted. Pure; the files that it names are made by the parts and the certificates.
 * @throws when the plan has no such service
 */
export function serviceEnvironment(
  plan: Plan,
  layout: Layout,
  service: string,
  options: EnvironmentOptions = {},
): Variables {
  const planned = plan.services.find(({ name }) => name === service)
  const site = layout.services[service]
  if (!planned || !site)
    throw new Error(`the plan has no service ${service}; it has ${plan.services.map(({ name }) => name).join(', ')}`)
  return {
    ...common(plan, service, options),
    ...(planned.protocol ? { PARLEY_LISTEN: `unix:${site.appSocket}` } : {}),
    PARLEY_ADMIN: `unix:${site.appAdminSocket}`,
    ...calls(plan, site, service),
    ...reaches(plan, site, service),
    ...kafka(plan, layout, site, service, options),
    ...postgres(plan, layout, service),
    ...rabbitmq(plan, layout, site, service),
    ...webhooks(plan, service),
    ...telemetry(plan, layout, service),
  }
}

/** The whole environment of a stand-in's process. It is outside: it gets no secret, no certificate and no trace. */
export function standInEnvironment(
  plan: Plan,
  layout: Layout,
  external: string,
  options: EnvironmentOptions = {},
): Variables {
  const site = layout.externals[external]
  if (!site) throw new Error(`the plan has no external ${external}; it has ${Object.keys(layout.externals).join(', ')}`)
  return {
    ...common(plan, external, options),
    PARLEY_LISTEN: tcp(site.listen),
    PARLEY_ADMIN: `unix:${site.adminSocket}`,
    ...(site.web ? { PARLEY_WEB: tcp(site.web) } : {}),
  }
}

function common(plan: Plan, name: string, { version = 'dev', logLevel = 'info', path }: EnvironmentOptions): Variables {
  return {
    PARLEY_SYSTEM: plan.system,
    PARLEY_SERVICE: name,
    PARLEY_ENVIRONMENT: plan.environment,
    PARLEY_VERSION: version,
    LOG_LEVEL: logLevel,
    TZ: 'UTC',
    LANG: 'C.UTF-8',
    ...(path === undefined ? {} : { PATH: path }),
  }
}

/** Calls go to the service's own sidecar, which tells callees apart by the authority. */
function calls(plan: Plan, { outboundSocket }: ServiceSite, service: string): Variables {
  const links = plan.links.filter(({ from }) => from === service)
  if (links.length === 0) return {}
  const callees = links.flatMap(({ to, routes }) => routes.map(({ api }) => `${api}=${to}`))
  return {
    ...Object.fromEntries(links.map(({ to }) => [callVariable(to), `unix:${outboundSocket}`])),
    PARLEY_CALLEES: [...new Set(callees)].join(','),
  }
}

function reaches(plan: Plan, { outboundSocket, egressSockets }: ServiceSite, service: string): Variables {
  const externals = plan.egress.filter(({ from }) => from === service).map(({ external }) => external)
  return Object.fromEntries(
    externals.map((name) => [reachVariable(name), `unix:${egressSockets[name] ?? outboundSocket}`]),
  )
}

function kafka(
  { grants }: Plan,
  layout: Layout,
  { certs }: ServiceSite,
  service: string,
  { kafkaClient = 'kafkajs' }: EnvironmentOptions,
): Variables {
  if (![...grants.topics, ...grants.groups].some((grant) => grant.service === service)) return {}
  return {
    KAFKA_BROKERS: `${layout.kafka.address}:${layout.kafka.port}`,
    KAFKA_TLS_CA: certs.authority,
    KAFKA_TLS_CERT: certs.cert,
    KAFKA_TLS_KEY: certs.key,
    KAFKA_CLIENT: kafkaClient,
  }
}

function postgres({ grants }: Plan, layout: Layout, service: string): Variables {
  const database = grants.databases.find((grant) => grant.service === service)?.database
  if (database === undefined) return {}
  return {
    PGHOST: layout.postgres.socketDir,
    PGPORT: String(layout.postgres.port),
    PGDATABASE: database,
    PGUSER: service,
    PGPASSFILE: pgpassFile(layout, service),
  }
}

function rabbitmq({ grants, system }: Plan, layout: Layout, { certs }: ServiceSite, service: string): Variables {
  if (!grants.queues.some((grant) => grant.service === service)) return {}
  return {
    AMQP_HOST: layout.rabbitmq.address,
    AMQP_PORT: String(layout.rabbitmq.port),
    AMQP_VHOST: system,
    AMQP_USERNAME: service,
    AMQP_PASSWORD_FILE: passwordFile(layout, 'rabbitmq', service),
    AMQP_TLS_CA: certs.authority,
  }
}

/** People try webhooks with a program of their own, which listens where no part of the run does: on the machine's own address. */
const webhookReceiver = '127.0.0.1'

function webhooks(plan: Plan, service: string): Variables {
  const delivers = plan.environment === 'local' && plan.webhooks.some((webhook) => webhook.service === service)
  return delivers ? { PARLEY_WEBHOOK_RECEIVERS: webhookReceiver } : {}
}

function telemetry(plan: Plan, layout: Layout, service: string): Variables {
  return {
    OTEL_SERVICE_NAME: service,
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_EXPORTER_ZIPKIN_ENDPOINT: `http://${layout.zipkin.address}:${layout.zipkin.port}/api/v2/spans`,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: String(plan.traceSampling),
  }
}

function tcp({ address, port }: Endpoint): string {
  return `tcp:${address}:${port}`
}
