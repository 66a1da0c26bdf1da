import { callVariable, reachVariable } from '#graph/names.ts'
import type { PlannedExternal, PlannedService } from '#plan/plan.ts'
import { type ServiceSlice, usesQueues, usesTopics } from '#plan/slices.ts'
import { dataNames, hostOf, ports, reachOf, type Site, tracing } from '#providers/cluster.ts'
import { mountPaths } from './secrets.ts'
import { versionOf } from './version.ts'

type Start = PlannedService['start']

/** An environment variable of a container. None holds a secret: those are files. */
export type Variable = { readonly name: string; readonly value: string }

type Values = Readonly<Record<string, string>>

/**
 * The environment of a service's process on a cluster: the contract of docs/process-contract.md, and of it only what the
 * service is granted. Sorted by name. Files that it names are mounted by `secretVolumes`.
 */
export function serviceVariables(site: Site, slice: ServiceSlice): readonly Variable[] {
  const { name, protocol, start, resources } = slice.service
  const values = {
    ...common(site, name, start, resources.memoryMiB),
    ...(protocol ? { PARLEY_LISTEN: listen(ports.app) } : {}),
    ...calls(site, slice),
    ...reaches(site, slice),
    ...(usesTopics(slice) ? kafka(site) : {}),
    ...postgres(site, slice),
    ...(usesQueues(slice) ? rabbitmq(site) : {}),
    ...telemetry(site, name),
  }
  return [...variablesOf(values)].sort(byName)
}

/** The environment of a stand-in. It is outside: it gets no secret, and nobody traces it. */
export function standInVariables(
  site: Site,
  { name }: PlannedExternal,
  start: Start,
  webPort: number | null,
  memoryMiB: number,
): readonly Variable[] {
  return variablesOf({
    ...common(site, name, start, memoryMiB),
    PARLEY_LISTEN: listen(ports.app),
    ...(webPort === null ? {} : { PARLEY_WEB: listen(ports.web) }),
  }).sort(byName)
}

function common(site: Site, name: string, start: Start, memoryMiB: number): Values {
  return {
    PARLEY_SYSTEM: site.system,
    PARLEY_SERVICE: name,
    PARLEY_ENVIRONMENT: site.environment,
    PARLEY_VERSION: versionOf(site, start),
    PARLEY_ADMIN: listen(ports.admin),
    LOG_LEVEL: 'info',
    TZ: 'UTC',
    LANG: 'C.UTF-8',
    // Three quarters of the memory for old objects; most of a service's memory is not its young ones.
    ...(start.kind === 'module'
      ? { NODE_OPTIONS: `--max-old-space-size=${Math.round(memoryMiB * 0.75)} --max-semi-space-size=8` }
      : {}),
  }
}

/** Addresses are whole names, so that no search list is walked; the authority is the callee's name, as everywhere. */
function calls(site: Site, { calls: links }: ServiceSlice): Values {
  if (links.length === 0) return {}
  const callees = links.flatMap(({ to, routes }) => routes.map(({ api }) => `${api}=${to}`))
  return {
    ...Object.fromEntries(links.map(({ to }) => [callVariable(to), `tcp:${hostOf(site, to)}:${ports.app}`])),
    PARLEY_CALLEES: [...new Set(callees)].join(','),
  }
}

function reaches(site: Site, { egress }: ServiceSlice): Values {
  return Object.fromEntries(
    egress.map(({ external }) => {
      const { host, port, tls } = reachOf(site, external)
      return [reachVariable(external.name), `${tls ? 'tls' : 'tcp'}:${host}:${port}`]
    }),
  )
}

function kafka(site: Site): Values {
  const { kafka: names, host } = dataNames(site)
  return {
    KAFKA_BROKERS: `${host(names.bootstrap)}:${names.port}`,
    KAFKA_TLS_CA: `${mountPaths.kafka}/ca.crt`,
    KAFKA_TLS_CERT: `${mountPaths.kafka}/user.crt`,
    KAFKA_TLS_KEY: `${mountPaths.kafka}/user.key`,
    KAFKA_CLIENT: 'kafkajs',
  }
}

function postgres(site: Site, { stores }: ServiceSlice): Values {
  const [store] = stores
  if (!store) return {}
  const { postgres: names, host } = dataNames(site)
  return {
    PGHOST: host(names.primary),
    PGPORT: String(names.port),
    PGDATABASE: store.database,
    PGUSER: store.role,
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: `${mountPaths.postgres}/ca.crt`,
    PGSSLCERT: `${mountPaths.postgres}/tls.crt`,
    PGSSLKEY: `${mountPaths.postgres}/tls.key`,
  }
}

function rabbitmq(site: Site): Values {
  const { rabbitmq: names, host } = dataNames(site)
  return {
    AMQP_HOST: host(names.service),
    AMQP_PORT: String(names.port),
    AMQP_VHOST: site.system,
    // The operator makes the user's name up.
    AMQP_USERNAME_FILE: `${mountPaths.rabbitmq}/username`,
    AMQP_PASSWORD_FILE: `${mountPaths.rabbitmq}/password`,
    AMQP_TLS_CA: `${mountPaths.rabbitmq}/ca.crt`,
  }
}

function telemetry({ traceSampling }: Site, service: string): Values {
  return {
    OTEL_SERVICE_NAME: service,
    OTEL_TRACES_EXPORTER: 'otlp',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${tracing.host}:${tracing.grpcPort}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: String(traceSampling),
  }
}

function listen(port: number): string {
  return `tcp:0.0.0.0:${port}`
}

function variablesOf(values: Values): Variable[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }))
}

function byName(a: Variable, b: Variable): number {
  return a.name < b.name ? -1 : 1
}
